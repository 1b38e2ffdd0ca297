// Streams and events.
#include <cuda_runtime_api.h>

#include "gpu/runtime/runtime.hpp"

using namespace gpu::runtime;

namespace {

cudaError_t create_stream(cudaStream_t* handle, unsigned flags, int priority) {
  return call([&](Runtime& r) {
    if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
    Context& context = r.context();
    auto stream = std::make_unique<Stream>();
    stream->context = &context;
    stream->flags = flags;
    stream->blocking = flags != cudaStreamNonBlocking;
    stream->priority = priority;
    stream->id = 3 + r.stream_ids++;
    *handle = reinterpret_cast<cudaStream_t>(stream.get());
    context.streams.push_back(std::move(stream));
    return cudaSuccess;
  });
}

// Done, or not yet; a program that polls makes the work go on.
cudaError_t query(Runtime& r, const OperationPtr& operation) {
  if (!operation || operation->done) return cudaSuccess;
  r.schedule->step();
  return cudaErrorNotReady;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return create_stream(stream, cudaStreamDefault, 0);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return create_stream(stream, flags, 0);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return create_stream(stream, flags, priority);
}

// What was put on it still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call([&](Runtime& r) {
    if (handle == nullptr) return cudaErrorInvalidResourceHandle;
    Stream& stream = r.stream(handle);
    if (stream.capture) {
      stream.capture->invalid = true;
      stream.capture->streams.erase(&stream);
    }
    std::erase_if(stream.context->streams, [&](const auto& each) { return each.get() == &stream; });
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call([&](Runtime& r) {
    finish(r.stream(handle));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    if (stream.capture) {
      stream.capture->invalid = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    return query(r, stream.last);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return call([&](Runtime& r) {
    wait_for(r.stream(handle), r.event(event));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return call([&](Runtime& r) {
    *flags = r.stream(handle).flags;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  return call([&](Runtime& r) {
    *priority = r.stream(handle).priority;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetId(cudaStream_t handle, unsigned long long* id) {
  return call([&](Runtime& r) {
    *id = r.stream(handle).id;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* ordinal) {
  return call([&](Runtime& r) {
    *ordinal = r.stream(handle).context->ordinal;
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return call([&](Runtime& r) {
    enqueue(r.stream(handle), cudaGraphNodeTypeHost, [=] { function(data); });
    return cudaSuccess;
  });
}

cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t callback, void* data,
                                  unsigned) {
  return call([&](Runtime& r) {
    enqueue(r.stream(handle), cudaGraphNodeTypeHost, [=] { callback(handle, cudaSuccess, data); });
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags) {
  return call([&](Runtime& r) {
    r.events.push_back(std::make_unique<Event>());
    r.events.back()->context = &r.context();
    r.events.back()->flags = flags;
    *handle = reinterpret_cast<cudaEvent_t>(r.events.back().get());
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return call([&](Runtime& r) {
    Event& event = r.event(handle);
    std::erase_if(r.events, [&](const auto& each) { return each.get() == &event; });
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t stream_handle, unsigned) {
  return call([&](Runtime& r) {
    Event& event = r.event(handle);
    Stream& stream = r.stream(stream_handle);
    if (event.context != stream.context) {
      fail(cudaErrorInvalidResourceHandle, "event and stream belong to different devices");
    }
    if (stream.capture) {
      event.capture = stream.capture;
      event.tail = stream.tail;
      event.operation = nullptr;
      return cudaSuccess;
    }
    event.capture = nullptr;
    event.tail.clear();
    event.operation = enqueue(stream, cudaGraphNodeTypeEventRecord, [] {});
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, 0);
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return call([&](Runtime& r) {
    Event& event = r.event(handle);
    if (event.capture) return cudaErrorCapturedEvent;
    r.schedule->finish(event.operation);
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return call([&](Runtime& r) {
    Event& event = r.event(handle);
    if (event.capture) return cudaErrorCapturedEvent;
    return query(r, event.operation);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  return call([&](Runtime& r) {
    const Event& first = r.event(begin);
    const Event& second = r.event(end);
    if (((first.flags | second.flags) & cudaEventDisableTiming) != 0 || !first.operation ||
        !second.operation) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!first.operation->done || !second.operation->done) return cudaErrorNotReady;
    std::chrono::duration<float, std::milli> elapsed =
        second.operation->finished - first.operation->finished;
    *milliseconds = elapsed.count();
    return cudaSuccess;
  });
}
}
