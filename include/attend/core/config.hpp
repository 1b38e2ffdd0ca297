#pragma once

/// @file
/// Every macro of the library but the version.

/// Marks a function that runs on the host and, under a CUDA compiler, on the device.
#if defined(__CUDACC__)
#define ATTEND_HD __host__ __device__
#else
#define ATTEND_HD
#endif

/// An empty member takes no room. (MSVC ignores the standard spelling.)
#if defined(_MSC_VER)
#define ATTEND_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#else
#define ATTEND_NO_UNIQUE_ADDRESS [[no_unique_address]]
#endif
