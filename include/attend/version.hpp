#pragma once

/// @file
/// The only place that states the library's version; CMake and pkg-config read it from here.

#define ATTEND_VERSION_MAJOR 0
#define ATTEND_VERSION_MINOR 1
#define ATTEND_VERSION_PATCH 0
