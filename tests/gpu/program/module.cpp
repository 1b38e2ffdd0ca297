#include "gpu/machine/module.hpp"

#include <algorithm>

#include "gpu/program/loader.hpp"
#include "gpu/program/program.hpp"

namespace gpu {

int Kernel::max_threads_per_block() const {
  const auto product = [](const std::array<int, 3>& d) { return d[0] * d[1] * d[2]; };
  if (product(required_threads) > 0) return product(required_threads);
  if (product(max_threads) > 0) return std::min(1024, product(max_threads));
  return 1024;
}

Module::Module(std::unique_ptr<Program> program) : program_(std::move(program)) {}

Module::~Module() {
  for (const Variable& variable : program_->variables) program_->memory->release(variable.address);
}

std::unique_ptr<Module> Module::load(std::string ptx, Memory& memory, std::string name) {
  auto program = std::make_unique<Program>();
  program->name = std::move(name);
  program->memory = &memory;
  std::unique_ptr<Module> module(new Module(std::move(program)));
  module->loader_ = std::make_unique<Loader>(std::move(ptx), *module, *module->program_);
  return module;
}

const Kernel* Module::kernel(std::string_view name) const { return loader_->kernel(name); }

std::vector<const Kernel*> Module::kernels() const {
  std::vector<const Kernel*> all;
  for (const std::string_view name : loader_->kernel_names()) all.push_back(kernel(name));
  return all;
}

const Variable* Module::variable(std::string_view name) const {
  for (const Variable& variable : program_->variables) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

Capability Module::target() const { return program_->target; }
Memory& Module::memory() const { return *program_->memory; }

}  // namespace gpu
