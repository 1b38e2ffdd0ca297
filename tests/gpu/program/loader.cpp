#include "gpu/program/loader.hpp"

#include <algorithm>
#include <cstring>

namespace gpu {
namespace {

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// What ptxas might use: the pressure and a few, as far as the launch bounds leave room.
int registers_of(const Kernel& kernel) {
  int limit = 255;
  const bool bounded = kernel.max_threads[0] > 0 || kernel.required_threads[0] > 0;
  if (bounded || kernel.min_blocks_per_sm > 0) {
    const int warps = (kernel.max_threads_per_block() + 31) / 32;
    limit = std::min(limit, 65536 / (32 * warps * std::max(1, kernel.min_blocks_per_sm)) / 8 * 8);
  }
  return std::min(limit, std::max(16, kernel.function->pressure + 6));
}

}  // namespace

Loader::Loader(std::string text, const Module& module, Module::Program& out)
    : text_(std::move(text)), module_(module), source_(ptx::parse(text_)), out_(out) {
  out_.target = {source_.target_major, source_.target_minor};
  symbols_.aliases = &source_.aliases;
  place_variables();
  create_functions();
  decode_functions();
  initialise_variables();
}

const Kernel* Loader::kernel(std::string_view name) {
  const auto it = kernels_.find(name);
  if (it == kernels_.end()) return nullptr;
  Entry& entry = it->second;
  if (entry.kernel == nullptr) entry.kernel = read_kernel(entry);
  return entry.kernel.get();
}

std::vector<std::string_view> Loader::kernel_names() const {
  std::vector<std::string_view> names;
  for (const auto& [name, entry] : kernels_) names.push_back(name);
  return names;
}

void Loader::place_variables() {
  for (const ptx::Variable& variable : source_.variables) {
    if (variable.space == ptx::Space::shared) {
      place_shared(variable);
    } else {
      place_global(variable);
    }
  }
  for (const ptx::Function& function : source_.functions) place_globals(function);
}

void Loader::place_shared(const ptx::Variable& variable) {
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

/// Those that a function declares.
void Loader::place_globals(const ptx::Function& function) {
  for (const ptx::Variable& variable : function.locals) {
    if (variable.space == ptx::Space::global || variable.space == ptx::Space::constant) {
      place_global(variable);
    }
  }
}

void Loader::place_global(const ptx::Variable& variable) {
  Variable placed;
  placed.name = variable.name;
  placed.bytes = variable.bytes;
  placed.alignment = variable.alignment;
  placed.is_constant = variable.space == ptx::Space::constant;
  placed.address = out_.memory->allocate(variable.bytes, variable.name, variable.alignment);
  out_.memory->fill(placed.address, 0, placed.bytes);
  symbols_.variables[variable.name] = {variable.space, placed.address, false};
  initial_.emplace_back(&variable, placed.address);
  out_.variables.push_back(std::move(placed));
}

void Loader::create_functions() {
  for (const ptx::Function& function : source_.functions) {
    symbols_.declared[function.name] = &function;
    if (!function.has_body) continue;
    auto decoded = std::make_shared<Function>();
    decoded->name = function.name;
    decoded->module = out_.name;
    decoded->index = static_cast<int>(out_.functions.size());
    if (function.is_kernel) {
      kernels_[function.name] = {&function, decoded, nullptr};
    } else {
      symbols_.functions[function.name] = decoded.get();
    }
    out_.functions.push_back(std::move(decoded));
  }
}

void Loader::decode_functions() {
  // variables that device functions declare in shared memory lie beside those of the module
  for (const ptx::Function& function : source_.functions) {
    if (!function.has_body || function.is_kernel) continue;
    Function& out = *symbols_.functions.at(function.name);
    Decoder decoder(source_, function, symbols_, out, static_cast<std::uint32_t>(common_shared_));
    decoder.run();
    common_shared_ = decoder.shared_end();
  }
}

/// Whether a function, or one that it may call, has to do with static shared variables that are
/// not a kernel's own.
bool Loader::uses_common_shared(const ptx::Function& function) const {
  std::set<const ptx::Function*> seen;
  return reaches_common_shared(function, seen);
}

bool Loader::reaches_common_shared(const ptx::Function& function,
                                   std::set<const ptx::Function*>& seen) const {
  if (!seen.insert(&function).second) return false;
  const auto is_shared = [](const ptx::Variable& local) {
    return local.space == ptx::Space::shared;
  };
  if (!function.is_kernel && std::any_of(function.locals.begin(), function.locals.end(), is_shared))
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
bool Loader::names_common_shared(const ptx::Operand& operand, bool& calls,
                                 std::set<const ptx::Function*>& seen) const {
  if (operand.kind == ptx::Operand::Kind::symbol) {
    const auto it = symbols_.variables.find(operand.name);
    if (it != symbols_.variables.end() && it->second.space == ptx::Space::shared &&
        !it->second.is_dynamic)
      return true;
    if (const auto named = symbols_.declared.find(operand.name); named != symbols_.declared.end()) {
      calls = false;
      if (reaches_common_shared(*named->second, seen)) return true;
    }
  }
  return std::any_of(operand.items.begin(), operand.items.end(), [&](const ptx::Operand& item) {
    return names_common_shared(item, calls, seen);
  });
}

std::unique_ptr<Kernel> Loader::read_kernel(const Entry& entry) {
  ptx::Function function = *entry.source;
  ptx::read_body(source_, function);
  place_globals(function);
  const std::size_t start = uses_common_shared(function) ? common_shared_ : 0;
  Decoder decoder(source_, function, symbols_, *entry.function, static_cast<std::uint32_t>(start));
  decoder.run();
  initialise_variables();
  auto kernel = std::make_unique<Kernel>();
  kernel->name = function.name;
  for (const ptx::Variable& parameter : function.signature.parameters) {
    const std::size_t offset = round_up(kernel->parameter_bytes, parameter.alignment);
    kernel->parameters.push_back({parameter.name, offset, parameter.bytes, parameter.alignment});
    kernel->parameter_bytes = offset + parameter.bytes;
  }
  kernel->function = entry.function;
  kernel->module = &module_;
  kernel->static_shared_bytes = decoder.shared_end();
  kernel->dynamic_shared_alignment = dynamic_alignment_;
  kernel->local_bytes = kernel->function->frame_bytes;
  kernel->max_threads = function.max_threads;
  kernel->required_threads = function.required_threads;
  kernel->required_cluster = function.required_cluster;
  kernel->min_blocks_per_sm = function.min_blocks;
  kernel->registers = registers_of(*kernel);
  kernel->unsupported = kernel->function->unsupported;
  return kernel;
}

void Loader::initialise_variables() {
  for (const auto& [variable, address] : initial_) {
    std::vector<std::uint8_t> bytes = variable->initial;
    for (const ptx::Variable::Pointer& pointer : variable->pointers) {
      const std::uint64_t value = (address_of(pointer.symbol, variable->line) +
                                   static_cast<std::uint64_t>(pointer.offset)) >>
                                  pointer.shift;
      std::memcpy(bytes.data() + pointer.at, &value, pointer.bytes);
    }
    if (!bytes.empty()) out_.memory->copy_in(address, bytes.data(), bytes.size());
  }
  initial_.clear();
}

std::uint64_t Loader::address_of(std::string_view name, int line) const {
  if (const auto it = symbols_.variables.find(name); it != symbols_.variables.end()) {
    return it->second.address;
  }
  if (const auto it = symbols_.functions.find(name); it != symbols_.functions.end()) {
    return kFunctionBase + 16 * static_cast<std::uint64_t>(it->second->index);
  }
  if (symbols_.declared.contains(name)) return 0;
  throw ParseError(line, "unknown symbol '" + std::string(name) + "' in an initial value");
}

}  // namespace gpu
