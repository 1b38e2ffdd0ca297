#include "gpu/machine/module.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "gpu/program/decoder.hpp"
#include "gpu/program/program.hpp"
#include "gpu/ptx/ast.hpp"

namespace gpu {
namespace {

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Builds a Module::Program from the parsed text.
class Loader {
 public:
  Loader(const ptx::Module& source, Module::Program& out) : source_(source), out_(out) {}

  void run() {
    symbols_.aliases = &source_.aliases;
    place_variables();
    create_functions();
    decode_functions();
    initialise_variables();
  }

 private:
  void place_variables() {
    for (const ptx::Variable& variable : source_.variables) {
      if (variable.space == ptx::Space::shared) {
        place_shared(variable);
      } else {
        place_global(variable);
      }
    }
    for (const ptx::Function& function : source_.functions) {
      for (const ptx::Variable& variable : function.locals) {
        if (variable.space == ptx::Space::global || variable.space == ptx::Space::constant) {
          place_global(variable);
        }
      }
    }
  }

  void place_shared(const ptx::Variable& variable) {
    if (variable.unsized || variable.is_extern) {
      dynamic_alignment_ = std::max(dynamic_alignment_, variable.alignment);
      symbols_.variables[variable.name] = {ptx::Space::shared, 0, true};
      return;
    }
    const std::size_t at = round_up(common_shared_, variable.alignment);
    check_room(variable, at, kMostShared, "shared memory");
    symbols_.variables[variable.name] = {ptx::Space::shared, kSharedBase + at, false};
    common_shared_ = at + variable.bytes;
  }

  void place_global(const ptx::Variable& variable) {
    Variable placed;
    placed.name = variable.name;
    placed.bytes = variable.bytes;
    placed.alignment = variable.alignment;
    placed.is_constant = variable.space == ptx::Space::constant;
    placed.address = out_.memory->allocate(variable.bytes, variable.name, variable.alignment);
    out_.memory->fill(placed.address, 0, placed.bytes);
    symbols_.variables[variable.name] = {variable.space, placed.address, false};
    out_.variables.push_back(std::move(placed));
    initial_.push_back(&variable);
  }

  void create_functions() {
    for (const ptx::Function& function : source_.functions) {
      symbols_.declared[function.name] = &function;
      if (!function.has_body) continue;
      auto decoded = std::make_shared<Function>();
      decoded->name = function.name;
      decoded->module = out_.name;
      decoded->index = static_cast<int>(out_.functions.size());
      symbols_.functions[function.name] = decoded.get();
      out_.functions.push_back(std::move(decoded));
    }
  }

  void decode_functions() {
    // variables that device functions declare in shared memory lie beside those of the module
    for (const ptx::Function& function : source_.functions) {
      if (!function.has_body || function.is_kernel) continue;
      Function& out = *symbols_.functions.at(function.name);
      Decoder decoder(source_, function, symbols_, out, static_cast<std::uint32_t>(common_shared_));
      decoder.run();
      common_shared_ = decoder.shared_end();
    }
    for (const ptx::Function& function : source_.functions) {
      if (!function.has_body || !function.is_kernel) continue;
      Function& out = *symbols_.functions.at(function.name);
      const std::size_t start = uses_common_shared(function) ? common_shared_ : 0;
      Decoder decoder(source_, function, symbols_, out, static_cast<std::uint32_t>(start));
      decoder.run();
      add_kernel(function, decoder.shared_end());
    }
  }

  /// Whether a function, or one that it may call, has to do with static shared variables that are
  /// not a kernel's own.
  bool uses_common_shared(const ptx::Function& function) const {
    std::set<const ptx::Function*> seen;
    return reaches_common_shared(function, seen);
  }

  bool reaches_common_shared(const ptx::Function& function,
                             std::set<const ptx::Function*>& seen) const {
    if (!seen.insert(&function).second) return false;
    const auto is_shared = [](const ptx::Variable& local) {
      return local.space == ptx::Space::shared;
    };
    if (!function.is_kernel &&
        std::any_of(function.locals.begin(), function.locals.end(), is_shared))
      return true;
    return std::any_of(function.statements.begin(), function.statements.end(),
                       [&](const ptx::Statement& statement) {
                         bool calls = statement.opcode[0] == "call", finds = false;
                         for (const ptx::Operand& operand : statement.operands)
                           finds = names_common_shared(operand, calls, seen) || finds;
                         return finds || calls;  // a call of nobody knows whom
                       });
  }

  /// `calls` becomes false where a function is named.
  bool names_common_shared(const ptx::Operand& operand, bool& calls,
                           std::set<const ptx::Function*>& seen) const {
    if (operand.kind == ptx::Operand::Kind::symbol) {
      const auto it = symbols_.variables.find(operand.name);
      if (it != symbols_.variables.end() && it->second.space == ptx::Space::shared &&
          !it->second.is_dynamic)
        return true;
      if (const auto named = symbols_.declared.find(operand.name);
          named != symbols_.declared.end()) {
        calls = false;
        if (reaches_common_shared(*named->second, seen)) return true;
      }
    }
    return std::any_of(operand.items.begin(), operand.items.end(), [&](const ptx::Operand& item) {
      return names_common_shared(item, calls, seen);
    });
  }

  void add_kernel(const ptx::Function& function, std::size_t shared) {
    auto kernel = std::make_unique<Kernel>();
    kernel->name = function.name;
    for (const ptx::Variable& parameter : function.signature.parameters) {
      const std::size_t offset = round_up(kernel->parameter_bytes, parameter.alignment);
      kernel->parameters.push_back({parameter.name, offset, parameter.bytes, parameter.alignment});
      kernel->parameter_bytes = offset + parameter.bytes;
    }
    for (const auto& decoded : out_.functions) {
      if (decoded->name == function.name) kernel->function = decoded;
    }
    kernel->static_shared_bytes = shared;
    kernel->dynamic_shared_alignment = dynamic_alignment_;
    kernel->local_bytes = kernel->function->frame_bytes;
    kernel->max_threads = function.max_threads;
    kernel->required_threads = function.required_threads;
    kernel->required_cluster = function.required_cluster;
    kernel->min_blocks_per_sm = function.min_blocks;
    kernel->registers = registers_of(*kernel);
    kernel->unsupported = kernel->function->unsupported;
    out_.kernels.push_back(std::move(kernel));
  }

  /// What ptxas might use: the pressure and a few, as far as the launch bounds leave room.
  static int registers_of(const Kernel& kernel) {
    int limit = 255;
    const bool bounded = kernel.max_threads[0] > 0 || kernel.required_threads[0] > 0;
    if (bounded || kernel.min_blocks_per_sm > 0) {
      const int warps = (kernel.max_threads_per_block() + 31) / 32;
      limit = std::min(limit, 65536 / (32 * warps * std::max(1, kernel.min_blocks_per_sm)) / 8 * 8);
    }
    return std::min(limit, std::max(16, kernel.function->pressure + 6));
  }

  void initialise_variables() {
    for (std::size_t i = 0; i < initial_.size(); ++i) {
      const ptx::Variable& variable = *initial_[i];
      std::vector<std::uint8_t> bytes = variable.initial;
      for (const ptx::Variable::Pointer& pointer : variable.pointers) {
        const std::uint64_t value = (address_of(pointer.symbol, variable.line) +
                                     static_cast<std::uint64_t>(pointer.offset)) >>
                                    pointer.shift;
        std::memcpy(bytes.data() + pointer.at, &value, pointer.bytes);
      }
      if (!bytes.empty())
        out_.memory->copy_in(out_.variables[i].address, bytes.data(), bytes.size());
    }
  }

  std::uint64_t address_of(std::string_view name, int line) const {
    if (const auto it = symbols_.variables.find(name); it != symbols_.variables.end()) {
      return it->second.address;
    }
    if (const auto it = symbols_.functions.find(name); it != symbols_.functions.end()) {
      return kFunctionBase + 16 * static_cast<std::uint64_t>(it->second->index);
    }
    if (symbols_.declared.contains(name)) return 0;
    throw ParseError(line, "unknown symbol '" + std::string(name) + "' in an initial value");
  }

  const ptx::Module& source_;
  Module::Program& out_;
  Symbols symbols_;
  std::vector<const ptx::Variable*> initial_;  ///< as out_.variables
  std::size_t common_shared_ = 0;
  std::size_t dynamic_alignment_ = 16;
};

}  // namespace

int Kernel::max_threads_per_block() const {
  const auto product = [](const std::array<int, 3>& d) { return d[0] * d[1] * d[2]; };
  if (product(required_threads) > 0) return product(required_threads);
  if (product(max_threads) > 0) return std::min(1024, product(max_threads));
  return 1024;
}

Module::Module(std::unique_ptr<Program> program) : program_(std::move(program)) {
  for (const auto& kernel : program_->kernels) kernel->module = this;
}

Module::~Module() {
  for (const Variable& variable : program_->variables) program_->memory->release(variable.address);
}

std::unique_ptr<Module> Module::load(std::string_view ptx, Memory& memory, std::string name) {
  const ptx::Module source = ptx::parse(ptx);
  auto program = std::make_unique<Program>();
  program->name = std::move(name);
  program->memory = &memory;
  program->target = {source.target_major, source.target_minor};
  Loader(source, *program).run();
  return std::unique_ptr<Module>(new Module(std::move(program)));
}

const Kernel* Module::kernel(std::string_view name) const {
  for (const auto& kernel : program_->kernels) {
    if (kernel->name == name) return kernel.get();
  }
  return nullptr;
}

const std::vector<std::unique_ptr<Kernel>>& Module::kernels() const { return program_->kernels; }

const Variable* Module::variable(std::string_view name) const {
  for (const Variable& variable : program_->variables) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

const std::vector<Variable>& Module::variables() const { return program_->variables; }
Capability Module::target() const { return program_->target; }
Memory& Module::memory() const { return *program_->memory; }

}  // namespace gpu
