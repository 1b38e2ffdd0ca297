#include "gpu/runtime/graph_memory.hpp"

namespace gpu::runtime {

std::function<void()> releasing(Context& context, void* data) {
  return [&context, data] { context.memory->release(reinterpret_cast<Address>(data)); };
}

void* capture_allocation(Stream& stream, Context& context, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const Address address = context.memory->reserve(bytes, "memory of a graph");
  enqueue(stream, cudaGraphNodeTypeMemAlloc,
          [&context, address] { context.memory->revive(address); });
  auto* data = reinterpret_cast<void*>(address);
  context.graph_memory[data] = false;
  stream.capture->graph->kept.insert(data);
  return data;
}

void capture_free(Runtime& r, Stream& stream, void* data) {
  Context* context = r.owner(data);
  Graph& graph = *stream.capture->graph;
  if (context == nullptr || !context->graph_memory.contains(data)) {
    fail(cudaErrorInvalidValue, "a captured free of memory that no graph allocates");
  }
  if (graph.kept.erase(data) == 0) {
    const bool is_held = context->graph_memory.at(data);
    if (!is_held || !graph.freed.insert(data).second) {
      fail(cudaErrorInvalidValue, "a captured free of memory that is free");
    }
  }
  enqueue(stream, cudaGraphNodeTypeMemFree, releasing(*context, data));
}

Context* owner_of_free(Runtime& r, void* data) {
  Context* context = r.owner(data);
  if (context != nullptr) {
    if (const auto found = context->graph_memory.find(data); found != context->graph_memory.end()) {
      if (!found->second) fail(cudaErrorInvalidValue, "free of a graph's memory that is free");
      found->second = false;
      return context;
    }
  }
  return &r.holder(data);
}

void prepare_memory(Runtime& r, const Graph& graph, Stream& stream) {
  const auto held = [&](void* data) -> bool& { return r.owner(data)->graph_memory.at(data); };
  for (void* data : graph.freed) {
    if (!held(data)) fail(cudaErrorInvalidValue, "the graph frees memory that is free");
  }
  for (void* data : graph.kept) {
    if (held(data) && !graph.frees_kept) {
      fail(cudaErrorInvalidValue, "memory that the graph's last launch allocated is not free yet");
    }
  }
  for (void* data : graph.kept) {
    if (held(data)) enqueue(stream, cudaGraphNodeTypeMemFree, releasing(*r.owner(data), data));
    held(data) = true;
  }
  for (void* data : graph.freed) held(data) = false;
}

}  // namespace gpu::runtime
