// attend_bench as a servant of another program, which times us beside others.
#pragma once

namespace bench {

/// Reads commands from stdin, a line each, and answers each with a line on stdout, until stdin
/// ends:
///   version                      the library's and the compiler's, and the tile engine
///   peaks                        JSON of the machine's peaks with the threads that are set
///   bandwidth BYTES              bytes per second of a loop that only reads so many
///   threads N                    of every later call
///   row PASS DTYPE B H H_KV LEN_Q LEN_K D CAUSAL MASK BIAS FOLDER
///                                loads a row's tensors (PASS: forward, backward or training;
///                                CAUSAL, BIAS: 0 or 1; MASK: none, padding or full)
///   path NAME                    math or fused; choice: the library's own
///   time N                       seconds of N calls, one by one
///   out FILE                     writes the output (backward, training: dq, dk, dv) as raw
///                                floats, calling once
/// An answer that begins with "error" tells what went wrong.
/// @returns the process's exit status.
int serve();

}  // namespace bench
