#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gpu/runtime/schedule.hpp"

namespace gpu::runtime {

struct Context;

/// One node of a graph. Its work may run many times.
struct Node {
  cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
  std::vector<Node*> before;
  std::function<void()> work;
};

struct Graph {
  const Context* context = nullptr;  ///< of the capture that made it
  std::vector<std::unique_ptr<Node>> nodes;
  std::set<void*> kept;     ///< memory that its nodes allocate and do not free
  std::set<void*> freed;    ///< memory of other graphs that its nodes free
  bool frees_kept = false;  ///< before it is launched again
  OperationPtr last;        ///< of an executable: the end of its last launch
  /// Shared with what was instantiated from it.
  std::shared_ptr<void> identity = std::make_shared<char>();

  bool has_memory() const;
  Node* add(cudaGraphNodeType type, std::vector<Node*> before, std::function<void()> work);
  /// A copy with nodes of its own.
  std::unique_ptr<Graph> instantiate() const;
};

struct Stream;

/// A capture in progress; all streams that take part share it.
struct Capture {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Stream* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool invalid = false;
  std::set<Stream*> streams;
  std::uint64_t id = 0;
};

struct Stream {
  Context* context = nullptr;
  bool blocking = true;  ///< orders itself with the legacy default stream
  unsigned flags = cudaStreamDefault;
  int priority = 0;
  std::uint64_t id = 0;
  OperationPtr last;
  std::shared_ptr<Capture> capture;
  std::vector<Node*> tail;  ///< nodes that the next captured one comes after
};

struct Event {
  Context* context = nullptr;
  unsigned flags = 0;
  OperationPtr operation;            ///< of the latest record
  std::shared_ptr<Capture> capture;  ///< set if that one was captured
  std::vector<Node*> tail;
};

/// Appends work to a stream, or a node to the graph it captures. Null in the latter case.
OperationPtr enqueue(Stream& stream, cudaGraphNodeType type, std::function<void()> work);

/// Lets what comes on the stream wait for the event.
void wait_for(Stream& stream, const Event& event);

/// Everything that was put on the stream is done. An error while it captures.
void finish(Stream& stream);

/// Throws if a call that works at once is not allowed while the calling thread captures.
void forbid_in_capture(Context& context);

}  // namespace gpu::runtime
