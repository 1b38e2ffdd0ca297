#pragma once

#include <cstddef>
#include <functional>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {

// Memory of graphs. A captured allocation gives an address at once; memory lies behind it from the
// launched graph's allocation node on, until a free: in this graph, in one launched later, or by an
// ordinary call.

/// Work that ends an allocation.
std::function<void()> releasing(Context& context, void* data);

/// Adds an allocation node to what the stream captures.
void* capture_allocation(Stream& stream, Context& context, std::size_t bytes);
/// Adds a free node. Throws ApiError for memory that no graph allocates, or that is freed already.
void capture_free(Runtime& r, Stream& stream, void* data);

/// Whose memory a call outside a capture frees; from now on it counts as freed. Throws ApiError.
Context* owner_of_free(Runtime& r, void* data);

/// Before a launch of the graph: memory that its last launch left is freed, if it was instantiated
/// so, else it is an error; what it frees has to be there.
void prepare_memory(Runtime& r, const Graph& graph, Stream& stream);

}  // namespace gpu::runtime
