// Stream capture and graphs.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>

#include "gpu/runtime/graph_memory.hpp"
#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

Graph& find(std::vector<std::unique_ptr<Graph>>& graphs, const void* handle) {
  for (const auto& graph : graphs) {
    if (graph.get() == handle) return *graph;
  }
  fail(cudaErrorInvalidValue, "not a graph, or a destroyed one");
}

void destroy(std::vector<std::unique_ptr<Graph>>& graphs, const void* handle) {
  Graph& graph = find(graphs, handle);
  std::erase_if(graphs, [&](const auto& each) { return each.get() == &graph; });
}

// Whether every captured node comes before the origin's end: other streams have been joined.
bool is_joined(const Capture& capture) {
  std::vector<Node*> reached = capture.origin->tail;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (Node* node : reached[i]->before) {
      if (std::find(reached.begin(), reached.end(), node) == reached.end()) reached.push_back(node);
    }
  }
  return std::all_of(capture.graph->nodes.begin(), capture.graph->nodes.end(), [&](auto& node) {
    return std::find(reached.begin(), reached.end(), node.get()) != reached.end();
  });
}

cudaStreamCaptureStatus status_of(const Stream& stream) {
  if (!stream.capture) return cudaStreamCaptureStatusNone;
  return stream.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
}

cudaError_t instantiate(cudaGraphExec_t* executable, cudaGraph_t handle, unsigned long long flags) {
  return call([&](Runtime& r) {
    const Graph& graph = find(r.graphs, handle);
    if (graph.has_memory() && graph.identity.use_count() > 1) {
      fail(cudaErrorNotSupported, "a graph that allocates or frees has one executable at a time");
    }
    r.executables.push_back(graph.instantiate());
    r.executables.back()->frees_kept = (flags & cudaGraphInstantiateFlagAutoFreeOnLaunch) != 0;
    *executable = reinterpret_cast<cudaGraphExec_t>(r.executables.back().get());
    return cudaSuccess;
  });
}

// The graph's nodes as operations between what the stream holds, and the last launch, and what
// comes after.
void launch(Runtime& r, Graph& graph, Stream& stream) {
  prepare_memory(r, graph, stream);
  enqueue(stream, cudaGraphNodeTypeEmpty, [] {});
  OperationPtr begin = r.schedule->add(*stream.context, {stream.last, graph.last}, [] {});
  std::map<const Node*, OperationPtr> operations;
  std::vector<OperationPtr> all{begin};
  for (const auto& node : graph.nodes) {
    std::vector<OperationPtr> before{begin};
    for (const Node* earlier : node->before) before.push_back(operations.at(earlier));
    all.push_back(r.schedule->add(*stream.context, std::move(before), node->work));
    operations[node.get()] = all.back();
  }
  stream.last = graph.last = r.schedule->add(*stream.context, std::move(all), [] {});
}

// The same as part of another capture.
void launch_captured(const Graph& graph, Stream& stream) {
  if (graph.has_memory()) {
    fail(cudaErrorNotSupported, "a graph that allocates or frees can't be part of another");
  }
  std::map<const Node*, Node*> copies;
  std::vector<Node*> begin = stream.tail;
  for (const auto& node : graph.nodes) {
    std::vector<Node*> before = begin;
    for (const Node* earlier : node->before) before.push_back(copies.at(earlier));
    copies[node.get()] = stream.capture->graph->add(node->type, std::move(before), node->work);
    stream.tail.push_back(copies[node.get()]);
  }
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    if (&stream == &stream.context->legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream.capture) return cudaErrorIllegalState;
    auto capture = std::make_shared<Capture>();
    capture->origin = &stream;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->streams = {&stream};
    capture->id = ++r.captures;
    capture->graph->context = stream.context;
    stream.capture = std::move(capture);
    stream.tail.clear();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call([&](Runtime& r) {
    *graph = nullptr;
    Stream& stream = r.stream(handle);
    std::shared_ptr<Capture> capture = stream.capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != &stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    const bool joined = is_joined(*capture);
    for (Stream* member : capture->streams) {
      member->capture = nullptr;
      member->tail.clear();
    }
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (!joined) return cudaErrorStreamCaptureUnjoined;
    r.graphs.push_back(std::move(capture->graph));
    *graph = reinterpret_cast<cudaGraph_t>(r.graphs.back().get());
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call([&](Runtime& r) {
    *status = status_of(r.stream(handle));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, std::size_t* count) {
  return call([&](Runtime& r) {
    const Stream& stream = r.stream(handle);
    *status = status_of(stream);
    if (id != nullptr) *id = stream.capture ? stream.capture->id : 0;
    if (graph != nullptr) *graph = nullptr;  // it belongs to the caller after the capture's end
    if (dependencies != nullptr) *dependencies = nullptr;
    if (edges != nullptr) *edges = nullptr;
    if (count != nullptr) *count = 0;
    return cudaSuccess;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  thread_local cudaStreamCaptureMode current = cudaStreamCaptureModeGlobal;
  std::swap(*mode, current);
  return cudaSuccess;
}

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  return call([&](Runtime& r) {
    r.graphs.push_back(std::make_unique<Graph>());
    *graph = reinterpret_cast<cudaGraph_t>(r.graphs.back().get());
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call([&](Runtime& r) {
    destroy(r.graphs, graph);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t* nodes, std::size_t* count) {
  return call([&](Runtime& r) {
    const Graph& graph = find(r.graphs, handle);
    const std::size_t room = nodes == nullptr ? 0 : *count;
    for (std::size_t i = 0; i < room; ++i) {
      nodes[i] = i < graph.nodes.size() ? reinterpret_cast<cudaGraphNode_t>(graph.nodes[i].get())
                                        : nullptr;
    }
    *count = nodes == nullptr ? graph.nodes.size() : std::min(room, graph.nodes.size());
    return cudaSuccess;
  });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return call([&](Runtime&) {
    *type = reinterpret_cast<const Node*>(node)->type;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags) {
  return instantiate(executable, graph, flags);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long flags) {
  return instantiate(executable, graph, flags);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call([&](Runtime& r) {
    destroy(r.executables, executable);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t) {
  return call([&](Runtime& r) {
    find(r.executables, executable);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  return call([&](Runtime& r) {
    Graph& graph = find(r.executables, executable);
    Stream& stream = r.stream(handle);
    if (stream.capture) {
      launch_captured(graph, stream);
    } else {
      launch(r, graph, stream);
    }
    return cudaSuccess;
  });
}
}
