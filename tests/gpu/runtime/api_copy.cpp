// Copies, fills, symbols.
#include <cuda_runtime_api.h>

#include "gpu/runtime/copy.hpp"
#include "gpu/runtime/runtime.hpp"

using namespace gpu::runtime;

namespace {

CopyShape row(std::size_t bytes) { return {bytes, 1, bytes, bytes}; }

// The device address of `bytes` bytes, `offset` bytes into a symbol.
void* symbol_address(Runtime& r, const void* symbol, std::size_t offset, std::size_t bytes) {
  const HostVariable* host = r.registry.variable(symbol);
  if (host == nullptr) fail(cudaErrorInvalidSymbol, "not a variable of this program");
  const gpu::Variable& variable = r.context().variable(*host);
  if (offset > variable.bytes || bytes > variable.bytes - offset) {
    fail(cudaErrorInvalidValue, host->name + " has " + std::to_string(variable.bytes) +
                                    " bytes, not " + std::to_string(offset) + " + " +
                                    std::to_string(bytes));
  }
  return reinterpret_cast<void*>(variable.address + offset);
}

cudaError_t copy_call(void* to, const void* from, CopyShape shape, cudaMemcpyKind kind,
                      cudaStream_t stream, Return when) {
  return call([&](Runtime& r) {
    copy(to, from, shape, kind, r.stream(stream), when);
    return cudaSuccess;
  });
}

cudaError_t fill_call(void* to, int value, CopyShape shape, cudaStream_t stream, Return when) {
  return call([&](Runtime& r) {
    fill(to, value, shape, r.stream(stream), when);
    return cudaSuccess;
  });
}

cudaError_t to_symbol(const void* symbol, const void* from, std::size_t bytes, std::size_t offset,
                      cudaMemcpyKind kind, cudaStream_t stream, Return when) {
  return call([&](Runtime& r) {
    copy(symbol_address(r, symbol, offset, bytes), from, row(bytes), kind, r.stream(stream), when);
    return cudaSuccess;
  });
}

cudaError_t from_symbol(void* to, const void* symbol, std::size_t bytes, std::size_t offset,
                        cudaMemcpyKind kind, cudaStream_t stream, Return when) {
  return call([&](Runtime& r) {
    copy(to, symbol_address(r, symbol, offset, bytes), row(bytes), kind, r.stream(stream), when);
    return cudaSuccess;
  });
}

cudaError_t copy_2d(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                    std::size_t width, std::size_t rows, cudaMemcpyKind kind, cudaStream_t stream,
                    Return when) {
  if (width > to_pitch || width > from_pitch) {
    return call([](Runtime&) { return cudaErrorInvalidPitchValue; });
  }
  return copy_call(to, from, {width, rows, to_pitch, from_pitch}, kind, stream, when);
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return copy_call(to, from, row(bytes), kind, nullptr, Return::when_done);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy_call(to, from, row(bytes), kind, stream, Return::at_once);
}
cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t rows, cudaMemcpyKind kind) {
  return copy_2d(to, to_pitch, from, from_pitch, width, rows, kind, nullptr, Return::when_done);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t rows,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_2d(to, to_pitch, from, from_pitch, width, rows, kind, stream, Return::at_once);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, std::size_t bytes) {
  return copy_call(to, from, row(bytes), cudaMemcpyDefault, nullptr, Return::when_done);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return copy_call(to, from, row(bytes), cudaMemcpyDefault, stream, Return::at_once);
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  return fill_call(to, value, row(bytes), nullptr, Return::when_done);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return fill_call(to, value, row(bytes), stream, Return::at_once);
}
cudaError_t cudaMemset2D(void* to, std::size_t pitch, int value, std::size_t width,
                         std::size_t rows) {
  return fill_call(to, value, {width, rows, pitch, 0}, nullptr, Return::when_done);
}
cudaError_t cudaMemset2DAsync(void* to, std::size_t pitch, int value, std::size_t width,
                              std::size_t rows, cudaStream_t stream) {
  return fill_call(to, value, {width, rows, pitch, 0}, stream, Return::at_once);
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, std::size_t bytes,
                               std::size_t offset, cudaMemcpyKind kind) {
  return to_symbol(symbol, from, bytes, offset, kind, nullptr, Return::when_done);
}
cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from, std::size_t bytes,
                                    std::size_t offset, cudaMemcpyKind kind, cudaStream_t stream) {
  return to_symbol(symbol, from, bytes, offset, kind, stream, Return::at_once);
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, std::size_t bytes,
                                 std::size_t offset, cudaMemcpyKind kind) {
  return from_symbol(to, symbol, bytes, offset, kind, nullptr, Return::when_done);
}
cudaError_t cudaMemcpyFromSymbolAsync(void* to, const void* symbol, std::size_t bytes,
                                      std::size_t offset, cudaMemcpyKind kind,
                                      cudaStream_t stream) {
  return from_symbol(to, symbol, bytes, offset, kind, stream, Return::at_once);
}

cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  return call([&](Runtime& r) {
    *address = symbol_address(r, symbol, 0, 0);
    return cudaSuccess;
  });
}
cudaError_t cudaGetSymbolSize(std::size_t* bytes, const void* symbol) {
  return call([&](Runtime& r) {
    const HostVariable* host = r.registry.variable(symbol);
    if (host == nullptr) return cudaErrorInvalidSymbol;
    *bytes = r.context().variable(*host).bytes;
    return cudaSuccess;
  });
}
}
