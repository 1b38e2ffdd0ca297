#include <charconv>

#include "gpu/machine/module.hpp"
#include "gpu/ptx/parser.hpp"

namespace gpu::ptx {
namespace {

constexpr std::int32_t kMostRegisters = 1 << 20;  // of a function
constexpr std::size_t kDeepest = 200;             // blocks within blocks

}  // namespace

void BodyReader::read_body(Function& function, Module& module) {
  function_ = &function;
  module_ = &module;
  location_ = {};
  outermost_.clear();
  scopes_.clear();
  read_block();
}

void BodyReader::read_block() {
  if (scopes_.size() == kDeepest) fail("blocks are nested too deeply");
  scopes_.emplace_back();
  while (!at("}")) {
    if (peek().kind == Token::Kind::end) fail("function without end: expected '}'");
    read_item();
  }
  take();
  close_scope();
}

void BodyReader::read_item() {
  const Token& token = peek();
  if (token.kind == Token::Kind::word && is(peek(1), ":")) {
    const std::string_view name = take().text;
    take();
    if (at(".callprototype")) {
      skip_statement();  // the callee's own declaration says the same
    } else if (at(".branchtargets") || at(".calltargets")) {
      take();
      auto& table = scopes_.back().tables[name];
      while (!accept(";")) {
        table.push_back(take_word("a label"));
        if (!at(";")) expect(",");
      }
    } else if (!scopes_.back().labels.emplace(name, function_->statements.size()).second) {
      fail("label " + std::string(name) + " is declared twice");
    }
  } else if (accept("{")) {
    read_block();
  } else if (accept(";")) {
  } else if (token.kind == Token::Kind::word && token.text.front() == '.') {
    read_directive();
  } else {
    read_statement();
  }
}

void BodyReader::read_directive() {
  const std::string_view word = take().text;
  if (word == ".reg") {
    read_registers();
  } else if (word == ".loc") {
    read_location();
  } else if (word == ".local") {
    read_local(Space::local);
  } else if (word == ".shared") {
    read_local(Space::shared);
  } else if (word == ".param") {
    read_local(Space::param);
  } else if (word == ".global" || word == ".const") {
    read_local(word == ".global" ? Space::global : Space::constant);
  } else if (word == ".file") {
    read_file(*module_);
  } else if (word == ".pragma") {
    skip_statement();
  } else {
    fail("unknown directive '" + std::string(word) + "'");
  }
}

void BodyReader::read_registers() {
  Type type = Type::none;
  while (peek().kind == Token::Kind::word && peek().text.front() == '.') {
    const std::string_view word = take().text.substr(1);
    if (word == "v2" || word == "v4") fail("vector registers are not supported");
    type = type_of(word);
    if (type == Type::none) fail("unknown register type '." + std::string(word) + "'");
  }
  auto& registers = function_->registers;
  do {
    const std::string_view name = take_word("a register's name");
    const auto first = static_cast<std::int32_t>(registers.size());
    if (accept("<")) {
      const std::int64_t count = take_integer("a count");
      if (count < 0 || count > kMostRegisters - first) fail("register count out of range");
      expect(">");
      scopes_.back().ranges[name] = {first, static_cast<std::int32_t>(count)};
      registers.resize(registers.size() + static_cast<std::size_t>(count), {name, type});
    } else {
      scopes_.back().registers[name] = first;
      registers.push_back({name, type});
    }
  } while (accept(","));
  expect(";");
}

void BodyReader::read_file(Module& module) {
  const auto number = static_cast<int>(take_integer("a file number"));
  if (peek().kind != Token::Kind::string) fail("expected a file name");
  module.files[number] = std::string(take().text);
  while (accept(",")) take_integer("a number");
}

void BodyReader::read_location() {
  const auto read_place = [&] {
    Place place;
    place[0] = static_cast<int>(take_integer("a file number"));
    place[1] = static_cast<int>(take_integer("a line"));
    place[2] = static_cast<int>(take_integer("a column"));
    return place;
  };
  const Place here = read_place();
  Place outer = here;
  if (accept(",")) {  // , function_name label[+offset], inlined_at file line column
    while (!at("inlined_at")) {
      if (peek().kind == Token::Kind::end) fail("expected inlined_at");
      take();
    }
    take();
    const Place caller = read_place();
    const auto it = outermost_.find(caller);
    outer = it == outermost_.end() ? caller : it->second;
  }
  outermost_[here] = outer;
  location_ = {here[0], here[1], outer[0], outer[1]};
}

void BodyReader::read_local(Space space) {
  do {
    Variable variable = read_variable(space);
    module_->names.push_back(variable.name);
    const std::string_view original = module_->names.back();
    variable.name += "@" + function_->name + "#" + std::to_string(function_->locals.size());
    module_->names.push_back(variable.name);
    scopes_.back().variables[original] = module_->names.back();
    function_->locals.push_back(std::move(variable));
  } while (accept(","));
  expect(";");
}

std::int32_t BodyReader::find_register(std::string_view name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const std::int32_t found = scope->find_register(name); found >= 0) return found;
  }
  return -1;
}

std::int32_t BodyReader::need_register(std::string_view name) const {
  const std::int32_t found = find_register(name);
  if (found < 0) fail("unknown register '" + std::string(name) + "'");
  return found;
}

void BodyReader::read_statement() {
  Statement statement;
  statement.line = peek().line;
  statement.source = location_;
  const char* start = peek().text.data();
  if (accept("@")) {
    statement.guard_negated = accept("!");
    statement.guard = need_register(take_word("a predicate"));
    if (function_->registers[static_cast<std::size_t>(statement.guard)].type != Type::pred) {
      fail("the guard of an instruction must be a predicate");
    }
  }
  std::string_view opcode = take_word("an instruction");
  if (opcode.front() == '%' || opcode.front() == '.') {
    fail("expected an instruction, found '" + std::string(opcode) + "'");
  }
  for (std::size_t dot = opcode.find('.'); dot != std::string_view::npos; dot = opcode.find('.')) {
    statement.opcode.push_back(opcode.substr(0, dot));
    opcode.remove_prefix(dot + 1);
  }
  statement.opcode.push_back(opcode);
  names_in_statement_ = 0;
  while (!at(";")) {
    statement.operands.push_back(read_operand());
    if (!at(";")) expect(",");
  }
  const char* end = take().text.data();
  statement.text = {start, static_cast<std::size_t>(end - start)};
  function_->statements.push_back(std::move(statement));
}

Operand BodyReader::read_operand() {
  Operand operand;
  if (at("[")) {
    operand = read_address();
  } else if (accept("{")) {
    operand = read_group(Operand::Kind::vector, "}");
  } else if (accept("(")) {
    operand = read_group(Operand::Kind::list, ")");
  } else if (accept("!")) {
    operand.kind = Operand::Kind::reg;
    operand.negated = true;
    operand.reg = need_register(take_word("a predicate"));
  } else if (peek().kind == Token::Kind::word) {
    operand = read_name();
  } else {
    read_literal(operand);
  }
  if (accept("|")) {
    const std::string_view name = take_word("a predicate");
    if (name != "_") operand.second = need_register(name);
  }
  return operand;
}

Operand BodyReader::read_name() {
  Operand operand;
  const std::string_view name = take().text;
  if (name == "_") return operand;
  if (name == "WARP_SZ") {
    operand.kind = Operand::Kind::integer;
    operand.bits = 32;
    return operand;
  }
  if (const std::int32_t reg = find_register(name); reg >= 0) {
    operand.kind = Operand::Kind::reg;
    operand.reg = reg;
    return operand;
  }
  if (name.front() == '%') {
    const bool numbered = name.back() >= '0' && name.back() <= '9';
    if (numbered && name != "%clock64" && !name.starts_with("%envreg") &&
        !name.starts_with("%pm")) {
      fail("unknown register '" + std::string(name) + "'");
    }
    operand.kind = Operand::Kind::special;
    operand.name = name;
    return operand;
  }
  operand.kind = Operand::Kind::symbol;
  operand.name = name;
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto it = scope->variables.find(name); it != scope->variables.end()) {
      operand.name = it->second;
      return operand;
    }
  }
  if (at("+") || (at("-") && peek(1).kind == Token::Kind::number)) {
    operand.bits = static_cast<std::uint64_t>(take_integer("an offset"));
  }
  scopes_.back().unresolved.push_back({function_->statements.size(), names_in_statement_++});
  return operand;
}

Operand BodyReader::read_address() {
  Operand operand;
  operand.kind = Operand::Kind::address;
  expect("[");
  operand.items.push_back(peek().kind == Token::Kind::word ? read_name() : [&] {
    Operand literal;
    read_literal(literal);
    return literal;
  }());
  while (at("+") || at("-")) operand.bits += static_cast<std::uint64_t>(take_integer("an offset"));
  operand.bits += operand.items[0].kind == Operand::Kind::symbol ? operand.items[0].bits : 0;
  while (accept(",")) {
    if (at("[")) fail("an address within an address");
    operand.items.push_back(read_operand());
  }
  expect("]");
  return operand;
}

Operand BodyReader::read_group(Operand::Kind kind, std::string_view close) {
  Operand operand;
  operand.kind = kind;
  while (!accept(close)) {
    if (at("[") || at("{") || at("(")) fail("a group within a group of operands");
    operand.items.push_back(read_operand());
    if (!at(close)) expect(",");
  }
  return operand;
}

Operand* BodyReader::nth_name(Statement& statement, std::size_t n) {
  // names that no scope declared are numbered in the order in which they were read
  const auto walk = [&n](auto&& self, std::vector<Operand>& operands) -> Operand* {
    for (Operand& operand : operands) {
      const bool open = (operand.kind == Operand::Kind::symbol &&
                         operand.name.find('@') == std::string_view::npos) ||
                        operand.kind == Operand::Kind::label;
      if (open && n-- == 0) return &operand;
      if (Operand* found = self(self, operand.items)) return found;
    }
    return nullptr;
  };
  return walk(walk, statement.operands);
}

void BodyReader::close_scope() {
  Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  for (const auto& [name, targets] : scope.tables) {
    auto& table = function_->branch_tables[name];
    table.clear();
    for (const std::string_view target : targets) {
      std::uint64_t found = ~std::uint64_t{0};
      if (const auto it = scope.labels.find(target); it != scope.labels.end()) found = it->second;
      for (const Scope& outer : scopes_) {
        const auto it = outer.labels.find(target);
        if (found == ~std::uint64_t{0} && it != outer.labels.end()) found = it->second;
      }
      if (found == ~std::uint64_t{0}) fail("unknown label '" + std::string(target) + "'");
      table.push_back(found);
    }
  }
  for (const Scope::Use& use : scope.unresolved) {
    Operand* operand = nth_name(function_->statements[use.statement], use.operand);
    if (operand == nullptr || operand->kind == Operand::Kind::label) continue;
    if (const auto it = scope.labels.find(operand->name); it != scope.labels.end()) {
      operand->kind = Operand::Kind::label;
      operand->bits = it->second;
    } else if (!scopes_.empty()) {
      scopes_.back().unresolved.push_back(use);
    }
  }
}

}  // namespace gpu::ptx
