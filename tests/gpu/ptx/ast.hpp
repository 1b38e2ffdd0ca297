#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gpu::ptx {

/// Fundamental types, by their PTX names; `none` where an instruction has none.
enum class Type : std::uint8_t {
  none,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  u16x2,
  s16x2,
  f16,
  f16x2,
  bf16,
  bf16x2,
  tf32,
  f32,
  f64,
  e4m3,
  e5m2,
  e4m3x2,
  e5m2x2,
  pred
};

/// The type named by a modifier ("f32"); Type::none if it names none.
Type type_of(std::string_view name);
std::string_view to_string(Type type);
/// Bytes an element takes in memory (a predicate: 0).
unsigned bytes_of(Type type);
bool is_signed(Type type);
bool is_float(Type type);

enum class Space : std::uint8_t { generic, global, shared, local, constant, param };

/// What a statement names.
struct Operand {
  enum class Kind : std::uint8_t {
    reg,      ///< `reg`: index into Function::registers; negated: !p
    integer,  ///< `bits`
    f32,      ///< `bits`: an IEEE single
    f64,      ///< `bits`: an IEEE double
    special,  ///< `name`: %tid.x
    symbol,   ///< `name` + `bits`: a variable's or a function's address
    label,    ///< `bits`: index of the statement it stands before
    address,  ///< [items[0] + bits]; further items where the instruction has coordinates
    vector,   ///< {items}
    list,     ///< (items): arguments of a call
    sink,     ///< _
  };
  Kind kind = Kind::sink;
  bool negated = false;
  std::int32_t reg = -1;
  std::uint64_t bits = 0;
  std::string_view name;
  std::vector<Operand> items;
  std::int32_t second = -1;  ///< q of p|q
};

/// A place by .loc: where the instruction stands, and, where its function was inlined, the line of
/// the kernel (or function of the PTX) from which it was called, through all levels.
struct SourceLine {
  int file = 0;  ///< of the .file directive; 0: unknown
  int line = 0;
  int outer_file = 0;
  int outer_line = 0;
};

struct Statement {
  std::vector<std::string_view> opcode;  ///< split at the dots
  std::string_view text;                 ///< opcode to semicolon
  std::vector<Operand> operands;
  std::int32_t guard = -1;
  bool guard_negated = false;
  int line = 0;
  SourceLine source;
};

/// A declaration with storage: global, const, shared, local, or a parameter.
struct Variable {
  std::string name;
  Space space = Space::global;
  Type type = Type::b8;
  std::size_t alignment = 1;
  std::size_t bytes = 0;
  bool unsized = false;  ///< extern shared array
  bool is_extern = false;
  int line = 0;
  std::vector<std::uint8_t> initial;  ///< its first bytes
  struct Pointer {
    std::size_t at;
    std::string_view symbol;
    std::int64_t offset;
    unsigned bytes;
    unsigned shift;  ///< of 0xFF..(symbol) masks; usually 0
  };
  std::vector<Pointer> pointers;
};

struct Register {
  std::string_view name;
  Type type;
};

/// A call's parameter list in a prototype or a declaration.
struct Signature {
  std::vector<Variable> returns;
  std::vector<Variable> parameters;
};

struct Function {
  std::string name;
  bool is_kernel = false;
  bool has_body = false;
  int line = 0;
  std::string_view body;  ///< of a kernel; what is in it comes by read_body
  int body_line = 0;
  Signature signature;
  std::vector<Register> registers;
  std::vector<Variable> locals;  ///< local, shared and param variables declared in the body
  std::vector<Statement> statements;
  std::array<int, 3> max_threads{0, 0, 0};
  std::array<int, 3> required_threads{0, 0, 0};
  std::array<int, 3> required_cluster{0, 0, 0};
  int min_blocks = 0;
  /// tables of brx.idx: name -> statement indices
  std::map<std::string_view, std::vector<std::uint64_t>> branch_tables;
};

struct Module {
  int target_major = 0;
  int target_minor = 0;
  std::map<int, std::string> files;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::map<std::string, std::string> aliases;
  std::deque<std::string> names;  ///< made by the parser; operands refer to them
};

/// Parses a module, but for what is in kernels. `text` has to outlive it. Throws ParseError.
Module parse(std::string_view text);
/// Parses the body of a kernel of that module. Throws ParseError.
void read_body(Module& module, Function& kernel);

}  // namespace gpu::ptx
