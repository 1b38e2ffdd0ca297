#pragma once

/// @file
/// The only place that states the library's version; CMake and pkg-config read it from here.

#define ATTEND_VERSION_MAJOR 0  ///< Changes when programs have to change (from 1.0 on).
#define ATTEND_VERSION_MINOR 1  ///< Changes when something is added; before 1.0 it may break, too.
#define ATTEND_VERSION_PATCH 0  ///< Changes when something is mended.
