#include "gpu/runtime/stream.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "gpu/runtime/context.hpp"
#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {

Node* Graph::add(cudaGraphNodeType type, std::vector<Node*> before, std::function<void()> work) {
  nodes.push_back(std::make_unique<Node>(Node{type, std::move(before), std::move(work)}));
  return nodes.back().get();
}

bool Graph::has_memory() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
    return node->type == cudaGraphNodeTypeMemAlloc || node->type == cudaGraphNodeTypeMemFree;
  });
}

std::unique_ptr<Graph> Graph::instantiate() const {
  auto copy = std::make_unique<Graph>();
  copy->context = context;
  copy->kept = kept;
  copy->freed = freed;
  copy->identity = identity;
  std::map<const Node*, Node*> copies;
  for (const auto& node : nodes) {
    std::vector<Node*> before;
    for (const Node* earlier : node->before) before.push_back(copies.at(earlier));
    copies[node.get()] = copy->add(node->type, std::move(before), node->work);
  }
  return copy;
}

void forbid_in_capture(Context& context) {
  for (const auto& stream : context.streams) {
    const auto& capture = stream->capture;
    if (capture == nullptr || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeThreadLocal &&
        capture->thread != std::this_thread::get_id()) {
      continue;
    }
    capture->invalid = true;
    throw ApiError{cudaErrorStreamCaptureUnsupported,
                   "a call that can't be captured, while a stream captures"};
  }
}

OperationPtr enqueue(Stream& stream, cudaGraphNodeType type, std::function<void()> work) {
  Context& context = *stream.context;
  if (stream.capture) {
    if (stream.capture->invalid) throw ApiError{cudaErrorStreamCaptureInvalidated, ""};
    Node* node = stream.capture->graph->add(type, stream.tail, std::move(work));
    stream.tail = {node};
    return nullptr;
  }
  std::vector<OperationPtr> before{stream.last};
  if (&stream == &context.legacy) {
    for (const auto& other : context.streams) {
      if (!other->blocking) continue;
      if (other->capture && other->capture->mode != cudaStreamCaptureModeRelaxed) {
        other->capture->invalid = true;
        throw ApiError{cudaErrorStreamCaptureImplicit,
                       "work on the default stream, while a stream it waits for captures"};
      }
      before.push_back(other->last);
    }
    before.push_back(context.per_thread.last);
  } else if (stream.blocking) {
    before.push_back(context.legacy.last);
  }
  stream.last = runtime().schedule->add(context, std::move(before), std::move(work));
  return stream.last;
}

void wait_for(Stream& stream, const Event& event) {
  if (event.capture) {
    if (stream.capture && stream.capture != event.capture) {
      throw ApiError{cudaErrorStreamCaptureMerge, "the event belongs to another capture"};
    }
    if (!stream.capture) {
      stream.capture = event.capture;
      stream.capture->streams.insert(&stream);
      stream.tail.clear();
    }
    stream.tail.insert(stream.tail.end(), event.tail.begin(), event.tail.end());
    return;
  }
  if (stream.capture) {
    if (!event.operation) return;
    stream.capture->invalid = true;
    throw ApiError{cudaErrorStreamCaptureIsolation,
                   "a capturing stream waits for an event outside the capture"};
  }
  if (!event.operation || event.operation->done) return;
  stream.last = runtime().schedule->add(*stream.context, {stream.last, event.operation}, [] {});
}

void finish(Stream& stream) {
  if (stream.capture) {
    stream.capture->invalid = true;
    throw ApiError{cudaErrorStreamCaptureUnsupported, "a wait for a stream that captures"};
  }
  if (&stream == &stream.context->legacy) {
    // The legacy stream is done when what it would wait for is.
    enqueue(stream, cudaGraphNodeTypeEmpty, [] {});
  }
  runtime().schedule->finish(stream.last);
}

}  // namespace gpu::runtime
