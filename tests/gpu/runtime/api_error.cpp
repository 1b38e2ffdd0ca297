// The runtime's error codes: the thread's last one, names, texts.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <utility>

#include "gpu/runtime/runtime.hpp"

namespace {

#define ATTEND_NAMED(code) \
  { code, #code }
const std::map<cudaError_t, const char*>& names() {
  static const std::map<cudaError_t, const char*> all{
      ATTEND_NAMED(cudaSuccess),
      ATTEND_NAMED(cudaErrorInvalidValue),
      ATTEND_NAMED(cudaErrorMemoryAllocation),
      ATTEND_NAMED(cudaErrorInitializationError),
      ATTEND_NAMED(cudaErrorCudartUnloading),
      ATTEND_NAMED(cudaErrorProfilerDisabled),
      ATTEND_NAMED(cudaErrorProfilerNotInitialized),
      ATTEND_NAMED(cudaErrorProfilerAlreadyStarted),
      ATTEND_NAMED(cudaErrorProfilerAlreadyStopped),
      ATTEND_NAMED(cudaErrorInvalidConfiguration),
      ATTEND_NAMED(cudaErrorInvalidPitchValue),
      ATTEND_NAMED(cudaErrorInvalidSymbol),
      ATTEND_NAMED(cudaErrorInvalidHostPointer),
      ATTEND_NAMED(cudaErrorInvalidDevicePointer),
      ATTEND_NAMED(cudaErrorInvalidTexture),
      ATTEND_NAMED(cudaErrorInvalidTextureBinding),
      ATTEND_NAMED(cudaErrorInvalidChannelDescriptor),
      ATTEND_NAMED(cudaErrorInvalidMemcpyDirection),
      ATTEND_NAMED(cudaErrorAddressOfConstant),
      ATTEND_NAMED(cudaErrorTextureFetchFailed),
      ATTEND_NAMED(cudaErrorTextureNotBound),
      ATTEND_NAMED(cudaErrorSynchronizationError),
      ATTEND_NAMED(cudaErrorInvalidFilterSetting),
      ATTEND_NAMED(cudaErrorInvalidNormSetting),
      ATTEND_NAMED(cudaErrorMixedDeviceExecution),
      ATTEND_NAMED(cudaErrorNotYetImplemented),
      ATTEND_NAMED(cudaErrorMemoryValueTooLarge),
      ATTEND_NAMED(cudaErrorStubLibrary),
      ATTEND_NAMED(cudaErrorInsufficientDriver),
      ATTEND_NAMED(cudaErrorCallRequiresNewerDriver),
      ATTEND_NAMED(cudaErrorInvalidSurface),
      ATTEND_NAMED(cudaErrorDuplicateVariableName),
      ATTEND_NAMED(cudaErrorDuplicateTextureName),
      ATTEND_NAMED(cudaErrorDuplicateSurfaceName),
      ATTEND_NAMED(cudaErrorDevicesUnavailable),
      ATTEND_NAMED(cudaErrorIncompatibleDriverContext),
      ATTEND_NAMED(cudaErrorMissingConfiguration),
      ATTEND_NAMED(cudaErrorPriorLaunchFailure),
      ATTEND_NAMED(cudaErrorLaunchMaxDepthExceeded),
      ATTEND_NAMED(cudaErrorLaunchFileScopedTex),
      ATTEND_NAMED(cudaErrorLaunchFileScopedSurf),
      ATTEND_NAMED(cudaErrorSyncDepthExceeded),
      ATTEND_NAMED(cudaErrorLaunchPendingCountExceeded),
      ATTEND_NAMED(cudaErrorInvalidDeviceFunction),
      ATTEND_NAMED(cudaErrorNoDevice),
      ATTEND_NAMED(cudaErrorInvalidDevice),
      ATTEND_NAMED(cudaErrorDeviceNotLicensed),
      ATTEND_NAMED(cudaErrorSoftwareValidityNotEstablished),
      ATTEND_NAMED(cudaErrorStartupFailure),
      ATTEND_NAMED(cudaErrorInvalidKernelImage),
      ATTEND_NAMED(cudaErrorDeviceUninitialized),
      ATTEND_NAMED(cudaErrorMapBufferObjectFailed),
      ATTEND_NAMED(cudaErrorUnmapBufferObjectFailed),
      ATTEND_NAMED(cudaErrorArrayIsMapped),
      ATTEND_NAMED(cudaErrorAlreadyMapped),
      ATTEND_NAMED(cudaErrorNoKernelImageForDevice),
      ATTEND_NAMED(cudaErrorAlreadyAcquired),
      ATTEND_NAMED(cudaErrorNotMapped),
      ATTEND_NAMED(cudaErrorNotMappedAsArray),
      ATTEND_NAMED(cudaErrorNotMappedAsPointer),
      ATTEND_NAMED(cudaErrorECCUncorrectable),
      ATTEND_NAMED(cudaErrorUnsupportedLimit),
      ATTEND_NAMED(cudaErrorDeviceAlreadyInUse),
      ATTEND_NAMED(cudaErrorPeerAccessUnsupported),
      ATTEND_NAMED(cudaErrorInvalidPtx),
      ATTEND_NAMED(cudaErrorInvalidGraphicsContext),
      ATTEND_NAMED(cudaErrorNvlinkUncorrectable),
      ATTEND_NAMED(cudaErrorJitCompilerNotFound),
      ATTEND_NAMED(cudaErrorUnsupportedPtxVersion),
      ATTEND_NAMED(cudaErrorJitCompilationDisabled),
      ATTEND_NAMED(cudaErrorUnsupportedExecAffinity),
      ATTEND_NAMED(cudaErrorUnsupportedDevSideSync),
      ATTEND_NAMED(cudaErrorContained),
      ATTEND_NAMED(cudaErrorInvalidSource),
      ATTEND_NAMED(cudaErrorFileNotFound),
      ATTEND_NAMED(cudaErrorSharedObjectSymbolNotFound),
      ATTEND_NAMED(cudaErrorSharedObjectInitFailed),
      ATTEND_NAMED(cudaErrorOperatingSystem),
      ATTEND_NAMED(cudaErrorInvalidResourceHandle),
      ATTEND_NAMED(cudaErrorIllegalState),
      ATTEND_NAMED(cudaErrorLossyQuery),
      ATTEND_NAMED(cudaErrorSymbolNotFound),
      ATTEND_NAMED(cudaErrorNotReady),
      ATTEND_NAMED(cudaErrorIllegalAddress),
      ATTEND_NAMED(cudaErrorLaunchOutOfResources),
      ATTEND_NAMED(cudaErrorLaunchTimeout),
      ATTEND_NAMED(cudaErrorLaunchIncompatibleTexturing),
      ATTEND_NAMED(cudaErrorPeerAccessAlreadyEnabled),
      ATTEND_NAMED(cudaErrorPeerAccessNotEnabled),
      ATTEND_NAMED(cudaErrorSetOnActiveProcess),
      ATTEND_NAMED(cudaErrorContextIsDestroyed),
      ATTEND_NAMED(cudaErrorAssert),
      ATTEND_NAMED(cudaErrorTooManyPeers),
      ATTEND_NAMED(cudaErrorHostMemoryAlreadyRegistered),
      ATTEND_NAMED(cudaErrorHostMemoryNotRegistered),
      ATTEND_NAMED(cudaErrorHardwareStackError),
      ATTEND_NAMED(cudaErrorIllegalInstruction),
      ATTEND_NAMED(cudaErrorMisalignedAddress),
      ATTEND_NAMED(cudaErrorInvalidAddressSpace),
      ATTEND_NAMED(cudaErrorInvalidPc),
      ATTEND_NAMED(cudaErrorLaunchFailure),
      ATTEND_NAMED(cudaErrorCooperativeLaunchTooLarge),
      ATTEND_NAMED(cudaErrorTensorMemoryLeak),
      ATTEND_NAMED(cudaErrorNotPermitted),
      ATTEND_NAMED(cudaErrorNotSupported),
      ATTEND_NAMED(cudaErrorSystemNotReady),
      ATTEND_NAMED(cudaErrorSystemDriverMismatch),
      ATTEND_NAMED(cudaErrorCompatNotSupportedOnDevice),
      ATTEND_NAMED(cudaErrorMpsConnectionFailed),
      ATTEND_NAMED(cudaErrorMpsRpcFailure),
      ATTEND_NAMED(cudaErrorMpsServerNotReady),
      ATTEND_NAMED(cudaErrorMpsMaxClientsReached),
      ATTEND_NAMED(cudaErrorMpsMaxConnectionsReached),
      ATTEND_NAMED(cudaErrorMpsClientTerminated),
      ATTEND_NAMED(cudaErrorCdpNotSupported),
      ATTEND_NAMED(cudaErrorCdpVersionMismatch),
      ATTEND_NAMED(cudaErrorStreamCaptureUnsupported),
      ATTEND_NAMED(cudaErrorStreamCaptureInvalidated),
      ATTEND_NAMED(cudaErrorStreamCaptureMerge),
      ATTEND_NAMED(cudaErrorStreamCaptureUnmatched),
      ATTEND_NAMED(cudaErrorStreamCaptureUnjoined),
      ATTEND_NAMED(cudaErrorStreamCaptureIsolation),
      ATTEND_NAMED(cudaErrorStreamCaptureImplicit),
      ATTEND_NAMED(cudaErrorCapturedEvent),
      ATTEND_NAMED(cudaErrorStreamCaptureWrongThread),
      ATTEND_NAMED(cudaErrorTimeout),
      ATTEND_NAMED(cudaErrorGraphExecUpdateFailure),
      ATTEND_NAMED(cudaErrorExternalDevice),
      ATTEND_NAMED(cudaErrorInvalidClusterSize),
      ATTEND_NAMED(cudaErrorFunctionNotLoaded),
      ATTEND_NAMED(cudaErrorInvalidResourceType),
      ATTEND_NAMED(cudaErrorInvalidResourceConfiguration),
      ATTEND_NAMED(cudaErrorUnknown),
      ATTEND_NAMED(cudaErrorApiFailureBase),
  };
  return all;
}
#undef ATTEND_NAMED

// The wording that people search for. The others are made from their names.
const std::map<cudaError_t, const char*>& known_texts() {
  static const std::map<cudaError_t, const char*> all{
      {cudaSuccess, "no error"},
      {cudaErrorInvalidValue, "invalid argument"},
      {cudaErrorMemoryAllocation, "out of memory"},
      {cudaErrorInitializationError, "initialization error"},
      {cudaErrorInvalidConfiguration, "invalid configuration argument"},
      {cudaErrorInvalidPitchValue, "invalid pitch argument"},
      {cudaErrorInvalidSymbol, "invalid device symbol"},
      {cudaErrorInvalidDeviceFunction, "invalid device function"},
      {cudaErrorNoDevice, "no CUDA-capable device is detected"},
      {cudaErrorInvalidDevice, "invalid device ordinal"},
      {cudaErrorInvalidKernelImage, "device kernel image is invalid"},
      {cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"},
      {cudaErrorInvalidPtx, "a PTX JIT compilation failed"},
      {cudaErrorInvalidResourceHandle, "invalid resource handle"},
      {cudaErrorNotReady, "device not ready"},
      {cudaErrorIllegalAddress, "an illegal memory access was encountered"},
      {cudaErrorLaunchOutOfResources, "too many resources requested for launch"},
      {cudaErrorLaunchTimeout, "the launch timed out and was terminated"},
      {cudaErrorMisalignedAddress, "misaligned address"},
      {cudaErrorInvalidPc, "invalid program counter"},
      {cudaErrorIllegalInstruction, "an illegal instruction was encountered"},
      {cudaErrorLaunchFailure, "unspecified launch failure"},
      {cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"},
      {cudaErrorNotSupported, "operation not supported"},
      {cudaErrorUnknown, "unknown error"},
      {cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"},
      {cudaErrorStreamCaptureInvalidated,
       "operation failed due to a previous error during capture"},
      {cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"},
      {cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"},
  };
  return all;
}

// cudaErrorInvalidHostPointer -> "invalid host pointer"
std::string words(const std::string& name) {
  std::string text;
  for (char letter : name.substr(std::string("cudaError").size())) {
    if (std::isupper(static_cast<unsigned char>(letter)) && !text.empty()) text += ' ';
    text += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return text;
}

std::map<cudaError_t, std::string> all_texts() {
  std::map<cudaError_t, std::string> texts;
  for (const auto& [code, name] : names()) {
    auto known = known_texts().find(code);
    texts[code] = known == known_texts().end() ? words(name) : known->second;
  }
  return texts;
}

// A kernel's failure stays; anything else is forgotten once it was read.
cudaError_t sticky_error() {
  return gpu::runtime::call_always([](gpu::runtime::Runtime& r) {
    return r.contexts.empty() ? cudaSuccess : r.context().sticky;
  });
}

}  // namespace

extern "C" {

const char* cudaGetErrorName(cudaError_t code) {
  auto found = names().find(code);
  return found == names().end() ? "unrecognized error code" : found->second;
}

const char* cudaGetErrorString(cudaError_t code) {
  static const std::map<cudaError_t, std::string> texts = all_texts();
  auto found = texts.find(code);
  return found == texts.end() ? "unrecognized error code" : found->second.c_str();
}

cudaError_t cudaGetLastError() {
  if (cudaError_t sticky = sticky_error(); sticky != cudaSuccess) return sticky;
  return std::exchange(gpu::runtime::thread_state().last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
  if (cudaError_t sticky = sticky_error(); sticky != cudaSuccess) return sticky;
  return gpu::runtime::thread_state().last_error;
}
}
