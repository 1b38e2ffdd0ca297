// AMX for programs on processors that have none: its instructions are illegal there, and the signal
// that says so has them computed here, as Intel's "Architecture Instruction Set Extensions
// Programming Reference" defines them. What the definition calls an error ends the program.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace amx_instructions {

/// Tile registers of one thread, the only one, and how many of their rows and bytes are in use.
struct State {
  bool configured = false;
  std::uint8_t rows[8] = {};
  std::uint16_t row_bytes[8] = {};
  unsigned char tile[8][16][64] = {};
  long executed = 0;  // instructions
};
inline State state;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "AMX: %s\n", what);
  std::abort();
}
inline void check(bool holds, const char* otherwise) {
  if (!holds) fail(otherwise);
}

inline float of_bfloat16(const unsigned char* at) {
  std::uint16_t half;
  std::memcpy(&half, at, sizeof half);
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return std::fpclassify(number) == FP_SUBNORMAL ? 0 : number;
}

/// sums (rows x columns) += a (rows x pairs) b (pairs x columns).
inline void tdpbf16ps(int sums, int a, int b) {
  const int rows = state.rows[sums], columns = state.row_bytes[sums] / 4;
  const int pairs = state.row_bytes[a] / 4;
  check(sums != a && a != b && sums != b, "tdpbf16ps of one tile twice");
  check(state.rows[a] == rows && state.rows[b] == pairs && state.row_bytes[b] / 4 == columns,
        "tdpbf16ps of tiles that do not fit");
  for (int m = 0; m < rows; ++m) {
    float even[16] = {}, odd[16] = {};
    for (int k = 0; k < pairs; ++k) {
      for (int n = 0; n < columns; ++n) {
        const unsigned char* const left = state.tile[a][m] + 4 * k;
        const unsigned char* const right = state.tile[b][k] + 4 * n;
        even[n] = std::fma(of_bfloat16(left), of_bfloat16(right), even[n]);
        odd[n] = std::fma(of_bfloat16(left + 2), of_bfloat16(right + 2), odd[n]);
      }
    }
    for (int n = 0; n < columns; ++n) {
      float sum;
      std::memcpy(&sum, state.tile[sums][m] + 4 * n, sizeof sum);
      sum += even[n] + odd[n];
      std::memcpy(state.tile[sums][m] + 4 * n, &sum, sizeof sum);
    }
    std::memset(state.tile[sums][m] + 4 * columns, 0, static_cast<std::size_t>(64 - 4 * columns));
  }
  for (int m = rows; m < 16; ++m) std::memset(state.tile[sums][m], 0, 64);
}

inline void load_configuration(const unsigned char* from) {
  state = {.configured = true, .executed = state.executed};
  check(from[0] == 1, "a palette that is not 1");
  for (int n = 1; n < 16; ++n) check(n == 1 || from[n] == 0, "reserved bytes that are not 0");
  check(from[1] == 0, "a start row");
  for (int n = 0; n < 8; ++n) {
    std::memcpy(&state.row_bytes[n], from + 16 + 2 * n, 2);
    state.rows[n] = from[48 + n];
    check(state.row_bytes[n] <= 64 && state.rows[n] <= 16, "a tile that is too large");
    check((state.row_bytes[n] == 0) == (state.rows[n] == 0), "a tile of rows without bytes");
  }
  for (int n = 32; n < 48; ++n) check(from[n] == 0, "bytes of tiles that are not there");
  for (int n = 56; n < 64; ++n) check(from[n] == 0, "rows of tiles that are not there");
}

inline void load(int tile, const unsigned char* from, std::int64_t stride) {
  std::memset(state.tile[tile], 0, sizeof state.tile[tile]);
  for (int r = 0; r < state.rows[tile]; ++r)
    std::memcpy(state.tile[tile][r], from + r * stride, state.row_bytes[tile]);
}
inline void store(int tile, unsigned char* to, std::int64_t stride) {
  for (int r = 0; r < state.rows[tile]; ++r)
    std::memcpy(to + r * stride, state.tile[tile][r], state.row_bytes[tile]);
}

/// One instruction: a VEX prefix of three bytes, an operation, a ModRM byte and what it asks for.
class Instruction {
 public:
  explicit Instruction(ucontext_t& context)
      : registers_(context.uc_mcontext.gregs),
        at_(reinterpret_cast<const unsigned char*>(registers_[REG_RIP])) {}

  /// Whether it was one of AMX; then it has been executed.
  bool execute() {
    if (at_[0] != 0xc4 || (at_[1] & 0x1f) != 2 || (at_[2] & 0x84) != 0) return false;
    const int prefix = at_[2] & 3, operation = at_[3], modrm = at_[4];
    const bool memory = modrm >> 6 != 3;
    const int reg = modrm >> 3 & 7, rm = modrm & 7;
    length_ = 5;
    if (operation == 0x49 && prefix == 0) {
      memory ? load_configuration(address()) : clear();
    } else if (operation == 0x49 && prefix == 3 && !memory) {
      check(state.configured, "no configuration");
      std::memset(state.tile[reg], 0, sizeof state.tile[reg]);
    } else if (operation == 0x4b && memory && prefix != 0) {
      check(state.configured && state.rows[reg] > 0, "no configuration");
      unsigned char* const first = address();
      prefix == 2 ? store(reg, first, stride_) : load(reg, first, stride_);
    } else if (operation == 0x5c && prefix == 2 && !memory) {
      check(state.configured, "no configuration");
      tdpbf16ps(reg, rm, ~at_[2] >> 3 & 15);
    } else {
      return false;
    }
    ++state.executed;
    registers_[REG_RIP] += length_;
    return true;
  }

 private:
  static void clear() { state = {.executed = state.executed}; }

  std::int64_t number(int reg) const {
    static constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                     REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                     REG_R12, REG_R13, REG_R14, REG_R15};
    return registers_[kOrder[reg]];
  }
  template <class Integer>
  std::int64_t displacement() {
    Integer value;
    std::memcpy(&value, at_ + length_, sizeof value);
    length_ += static_cast<int>(sizeof value);
    return value;
  }

  // The operand in memory; a tile's rows are its index register apart.
  unsigned char* address() {
    const int mod = at_[4] >> 6, rm = at_[4] & 7;
    const int index_bit = (~at_[1] >> 6 & 1) << 3, base_bit = (~at_[1] >> 5 & 1) << 3;
    std::int64_t address = 0;
    bool has_base = true;
    int base = rm | base_bit;
    if (rm == 4) {
      const int sib = at_[length_++];
      const int index = (sib >> 3 & 7) | index_bit;
      base = (sib & 7) | base_bit;
      if (index != 4) stride_ = number(index) << (sib >> 6);
      has_base = mod != 0 || (sib & 7) != 5;
    } else if (mod == 0 && rm == 5) {
      fail("an address from the instruction's own, which is not decoded here");
    }
    if (has_base) address = number(base);
    if (mod == 1) address += displacement<std::int8_t>();
    if (mod == 2 || !has_base) address += displacement<std::int32_t>();
    return reinterpret_cast<unsigned char*>(address);
  }

  greg_t (&registers_)[NGREG];
  const unsigned char* at_;
  int length_ = 0;
  std::int64_t stride_ = 0;
};

/// While it lives, the process has AMX.
class Available {
 public:
  Available() {
    struct sigaction action {};
    action.sa_sigaction = [](int, siginfo_t*, void* context) {
      if (!Instruction(*static_cast<ucontext_t*>(context)).execute())
        fail("an instruction that is not one of AMX");
    };
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &before_);
  }
  ~Available() { sigaction(SIGILL, &before_, nullptr); }
  Available(const Available&) = delete;
  Available& operator=(const Available&) = delete;

 private:
  struct sigaction before_ {};
};

}  // namespace amx_instructions
