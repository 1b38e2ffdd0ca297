#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/machine/device.hpp"
#include "gpu/machine/memory.hpp"

namespace gpu {

struct Function;  ///< a decoded function: program/function.hpp
class Loader;

/// PTX text that the front end can't read; what() names the line and what was expected there.
class ParseError : public std::runtime_error {
 public:
  ParseError(int line, const std::string& message);
  int line() const { return line_; }

 private:
  int line_;
};

/// One kernel parameter's place in the parameter buffer.
struct Parameter {
  std::string name;
  std::size_t offset = 0;
  std::size_t bytes = 0;
  std::size_t alignment = 1;
};

/// A kernel of a module.
class Kernel {
 public:
  std::string name;                   ///< mangled
  std::vector<Parameter> parameters;  ///< in order
  std::size_t parameter_bytes = 0;    ///< of the whole buffer
  std::size_t static_shared_bytes = 0;
  std::size_t dynamic_shared_alignment = 16;
  std::size_t local_bytes = 0;  ///< per thread, declared in the PTX
  int registers = 0;            ///< per thread, estimated from liveness (ptxas may need others)
  std::array<int, 3> max_threads{0, 0, 0};       ///< .maxntid; zeros: not given
  std::array<int, 3> required_threads{0, 0, 0};  ///< .reqntid; zeros: not given
  std::array<int, 3> required_cluster{0, 0, 0};  ///< .reqnctapercluster; zeros: not given
  int min_blocks_per_sm = 0;                     ///< .minnctapersm; 0: not given
  std::vector<std::string> unsupported;  ///< "line 12: foo.b32 ..." for what can't be executed

  /// Threads per block that the directives (else the architecture: 1024) allow.
  int max_threads_per_block() const;

  std::shared_ptr<const Function> function;  ///< its code
  const class Module* module = nullptr;
};

/// A variable of a module in global or constant space.
struct Variable {
  std::string name;
  std::size_t bytes = 0;
  std::size_t alignment = 1;
  bool is_constant = false;
  Address address = 0;  ///< in the Memory of Module::load
};

/// A PTX module, loaded: its variables are laid out and initialised in a Memory (which has to
/// outlive it), its kernels read when they are first asked for, by one thread at a time.
class Module {
 public:
  /// Reads PTX text. `name` stands for the module in messages. Throws ParseError.
  static std::unique_ptr<Module> load(std::string ptx, Memory& memory, std::string name = "");
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// By mangled name; nullptr if there is none. Throws ParseError.
  const Kernel* kernel(std::string_view name) const;
  std::vector<const Kernel*> kernels() const;
  /// By mangled name; nullptr if there is none.
  const Variable* variable(std::string_view name) const;
  /// Of the .target directive.
  Capability target() const;
  Memory& memory() const;

  struct Program;  ///< what the machine needs: program/program.hpp
  const Program& program() const { return *program_; }

 private:
  explicit Module(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
  std::unique_ptr<Loader> loader_;
};

}  // namespace gpu
