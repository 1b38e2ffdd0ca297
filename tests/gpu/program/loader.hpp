#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gpu/program/decoder.hpp"
#include "gpu/program/program.hpp"
#include "gpu/ptx/ast.hpp"

namespace gpu {

/// Builds a Module::Program from PTX text: variables and device functions at once, a kernel when it
/// is asked for. Throws ParseError.
class Loader {
 public:
  Loader(std::string text, const Module& module, Module::Program& out);

  /// By mangled name; nullptr if there is none.
  const Kernel* kernel(std::string_view name);
  std::vector<std::string_view> kernel_names() const;

 private:
  struct Entry {
    const ptx::Function* source;
    std::shared_ptr<Function> function;
    std::unique_ptr<Kernel> kernel;  ///< null until it is read
  };

  void place_variables();
  void place_shared(const ptx::Variable& variable);
  void place_globals(const ptx::Function& function);
  void place_global(const ptx::Variable& variable);
  void create_functions();
  void decode_functions();
  bool uses_common_shared(const ptx::Function& function) const;
  bool reaches_common_shared(const ptx::Function& function,
                             std::set<const ptx::Function*>& seen) const;
  bool names_common_shared(const ptx::Operand& operand, bool& calls,
                           std::set<const ptx::Function*>& seen) const;
  std::unique_ptr<Kernel> read_kernel(const Entry& entry);
  void initialise_variables();
  std::uint64_t address_of(std::string_view name, int line) const;

  std::string text_;
  const Module& module_;
  ptx::Module source_;
  Module::Program& out_;
  Symbols symbols_;
  std::map<std::string_view, Entry> kernels_;
  /// Variables whose initial value is not written yet, and where they lie.
  std::vector<std::pair<const ptx::Variable*, Address>> initial_;
  std::size_t common_shared_ = 0;
  std::size_t dynamic_alignment_ = 16;
};

}  // namespace gpu
