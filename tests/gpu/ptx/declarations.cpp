#include <algorithm>
#include <bit>

#include "gpu/machine/module.hpp"
#include "gpu/ptx/parser.hpp"

namespace gpu::ptx {
namespace {

constexpr std::size_t kLargestAlignment = std::size_t{1} << 20;
constexpr std::size_t kLargestCount = std::size_t{1} << 40;  // of elements

}  // namespace

Variable DeclarationReader::read_variable(Space space) {
  Variable variable;
  variable.space = space;
  variable.line = peek().line;
  unsigned lanes = 1;
  std::size_t alignment = 0;
  while (peek().kind == Token::Kind::word && peek().text.front() == '.') {
    const std::string_view word = take().text.substr(1);
    if (word == "align") {
      alignment = static_cast<std::size_t>(take_integer("an alignment"));
      if (!std::has_single_bit(alignment) || alignment > kLargestAlignment) {
        fail("an alignment must be a power of two, at most " + std::to_string(kLargestAlignment));
      }
    } else if (word == "v2" || word == "v4") {
      lanes = word == "v2" ? 2 : 4;
    } else if (word == "ptr") {
      // .ptr .space .align N describes what the pointer points to
      while (peek().kind == Token::Kind::word && peek().text.front() == '.') {
        if (take().text == ".align") take_integer("an alignment");
      }
    } else if (word == "attribute") {
      while (!accept(")")) take();
    } else if (type_of(word) != Type::none) {
      variable.type = type_of(word);
    } else {
      fail("unknown word '." + std::string(word) + "' in a declaration");
    }
  }
  variable.name = take_word("a name");
  const unsigned width = std::max(1u, bytes_of(variable.type));
  variable.alignment = std::max<std::size_t>(alignment, width * lanes);
  if (alignment != 0) variable.alignment = alignment;
  std::size_t count = lanes;
  while (accept("[")) {
    if (accept("]")) {
      variable.unsized = true;
    } else {
      const std::int64_t extent = take_integer("an extent");
      if (extent < 0) fail("extent out of range");
      if (count != 0 && static_cast<std::size_t>(extent) > kLargestCount / count) {
        fail("variable too large");
      }
      count *= static_cast<std::size_t>(extent);
      expect("]");
    }
  }
  variable.bytes = variable.unsized ? 0 : count * width;
  if (accept("=")) read_initialiser(variable);
  if (variable.unsized) variable.bytes = variable.initial.size();
  return variable;
}

void DeclarationReader::read_initialiser(Variable& variable) {
  std::size_t offset = 0;
  if (!at("{")) {
    read_element(variable, offset);
    return;
  }
  int depth = 0;
  do {
    if (accept("{")) {
      ++depth;
    } else if (accept("}")) {
      --depth;
    } else if (!accept(",")) {
      read_element(variable, offset);
    }
  } while (depth > 0);
  if (!variable.unsized && variable.initial.size() > variable.bytes) {
    fail("more initial values than " + variable.name + " has room for");
  }
}

void DeclarationReader::read_element(Variable& variable, std::size_t& offset) {
  const unsigned width = std::max(1u, bytes_of(variable.type));
  variable.initial.resize(offset + width);
  const bool masked =
      peek().kind == Token::Kind::number && is(peek(1), "(");  // 0xFF00(symbol): one byte of it
  unsigned shift = 0;
  if (masked) {
    Operand mask;
    read_literal(mask);
    shift = static_cast<unsigned>(std::countr_zero(mask.bits | (std::uint64_t{1} << 63)));
    take();
  }
  if (peek().kind == Token::Kind::word) {
    std::string_view name = take().text;
    bool generic = false;
    if (name == "generic") {
      expect("(");
      name = take_word("a name");
      generic = true;
    }
    std::int64_t delta = 0;
    if (at("+") || at("-")) delta = take_integer("an offset");
    if (generic) expect(")");
    if (at("+") || at("-")) delta += take_integer("an offset");
    variable.pointers.push_back({offset, name, delta, width, shift});
  } else {
    Operand literal;
    read_literal(literal);
    std::uint64_t bits = literal.bits;
    if (literal.kind == Operand::Kind::f64 && variable.type == Type::f32) {
      bits = std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
    } else if (literal.kind == Operand::Kind::f32 && variable.type == Type::f64) {
      bits = std::bit_cast<std::uint64_t>(
          static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
    }
    for (unsigned i = 0; i < width && i < 8; ++i) {
      variable.initial[offset + i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
  }
  if (masked) expect(")");
  offset += width;
}

std::vector<Variable> DeclarationReader::read_parameter_list() {
  std::vector<Variable> parameters;
  expect("(");
  while (!accept(")")) {
    if (!accept(".param") && !accept(".reg")) fail("expected a parameter");
    parameters.push_back(read_variable(Space::param));
    if (!at(")")) expect(",");
  }
  return parameters;
}

Signature DeclarationReader::read_signature_parameters() {
  Signature signature;
  if (at("(")) signature.parameters = read_parameter_list();
  return signature;
}

void DeclarationReader::skip_section() {
  while (!at("{")) {
    if (peek().kind == Token::Kind::end) fail("section without body");
    take();
  }
  int depth = 0;
  do {
    if (peek().kind == Token::Kind::end) fail("section without end");
    const Token& token = take();
    if (is(token, "{")) ++depth;
    if (is(token, "}")) --depth;
  } while (depth > 0);
}

void DeclarationReader::skip_statement() {
  while (!accept(";")) {
    if (peek().kind == Token::Kind::end) fail("expected ';'");
    take();
  }
}

}  // namespace gpu::ptx
