#include <charconv>
#include <system_error>

#include "gpu/machine/module.hpp"
#include "gpu/ptx/parser.hpp"

namespace gpu::ptx {

Module ModuleReader::run() {
  while (peek().kind != Token::Kind::end) read_item();
  return std::move(module_);
}

void ModuleReader::read_item() {
  bool is_extern = false;
  while (at(".visible") || at(".extern") || at(".weak") || at(".common") || at(".internal")) {
    is_extern |= at(".extern");
    take();
  }
  const std::string_view word = take_word("a directive");
  if (word == ".version") {
    take();
  } else if (word == ".target") {
    read_target();
  } else if (word == ".address_size") {
    if (take_integer("64") != 64) fail("only 64-bit addresses are supported");
  } else if (word == ".file") {
    read_file(module_);
  } else if (word == ".section") {
    skip_section();
  } else if (word == ".pragma") {
    skip_statement();
  } else if (word == ".alias") {
    std::string from(take_word("a function"));
    expect(",");
    module_.aliases[std::move(from)] = take_word("a function");
    expect(";");
  } else if (word == ".entry" || word == ".func") {
    read_function(word == ".entry");
  } else if (word == ".global" || word == ".const" || word == ".shared") {
    const Space space = word == ".global"  ? Space::global
                        : word == ".const" ? Space::constant
                                           : Space::shared;
    do {
      Variable variable = read_variable(space);
      variable.is_extern = is_extern;
      module_.variables.push_back(std::move(variable));
    } while (accept(","));
    expect(";");
  } else {
    fail("unknown directive '" + std::string(word) + "'");
  }
}

void ModuleReader::read_target() {
  do {
    const std::string_view word = take_word("a target");
    if (word.starts_with("sm_")) {
      int number = 0;
      const char* const end = word.data() + word.size();
      if (std::from_chars(word.data() + 3, end, number).ec != std::errc{})
        fail(std::string("'").append(word) + "' is no target");
      module_.target_major = number / 10;
      module_.target_minor = number % 10;
    }
  } while (accept(","));
}

std::array<int, 3> ModuleReader::read_dimensions() {
  std::array<int, 3> dimensions{1, 1, 1};
  for (std::size_t i = 0; i < 3; ++i) {
    dimensions[i] = static_cast<int>(take_integer("a dimension"));
    if (!accept(",")) break;
  }
  return dimensions;
}

void ModuleReader::read_function_directives(Function& function) {
  for (;;) {
    if (accept(".maxntid")) {
      function.max_threads = read_dimensions();
    } else if (accept(".reqntid")) {
      function.required_threads = read_dimensions();
    } else if (accept(".reqnctapercluster")) {
      function.required_cluster = read_dimensions();
    } else if (accept(".minnctapersm")) {
      function.min_blocks = static_cast<int>(take_integer("a count"));
    } else if (accept(".maxnreg") || accept(".maxnctapersm") || accept(".maxclusterrank") ||
               accept(".abi_preserve") || accept(".abi_preserve_control")) {
      take_integer("a count");
    } else if (accept(".pragma")) {
      skip_statement();
    } else if (!accept(".noreturn") && !accept(".explicitcluster") &&
               !accept(".blocksareclusters")) {
      return;
    }
  }
}

void ModuleReader::read_function(bool is_kernel) {
  Function function;
  function.is_kernel = is_kernel;
  function.line = peek().line;
  while (accept(".attribute")) {
    while (!accept(")")) take();
  }
  std::vector<Variable> returns;
  if (!is_kernel && at("(")) returns = read_parameter_list();
  function.name = take_word("a function's name");
  function.signature = read_signature_parameters();
  function.signature.returns = std::move(returns);
  read_function_directives(function);
  if (peek().kind == Token::Kind::body) {
    function.has_body = true;
    function.body_line = peek().line;
    function.body = take().text;
  } else if (accept("{")) {
    function.has_body = true;
    read_body(function, module_);
  } else {
    expect(";");
  }
  const auto [it, is_new] = known_.try_emplace(function.name, module_.functions.size());
  if (is_new) {
    module_.functions.push_back(std::move(function));
    return;
  }
  Function& known = module_.functions[it->second];
  if (known.has_body && function.has_body) fail("function " + known.name + " is defined twice");
  if (function.has_body) known = std::move(function);
}

Module parse(std::string_view text) {
  const std::vector<Token> tokens = tokenize(text);
  return ModuleReader(tokens).run();
}

void KernelReader::run(Function& kernel, Module& module) {
  expect("{");
  read_body(kernel, module);
}

void read_body(Module& module, Function& kernel) {
  const std::vector<Token> tokens = tokenize(kernel.body, kernel.body_line);
  KernelReader(tokens).run(kernel, module);
}

}  // namespace gpu::ptx
