#include <bit>
#include <charconv>
#include <cstdlib>

#include "gpu/machine/module.hpp"
#include "gpu/ptx/parser.hpp"

namespace gpu::ptx {

const Token& TokenReader::take() {
  const Token& token = peek();
  if (token.kind == Token::Kind::end) fail("unexpected end of the module");
  ++at_;
  return token;
}

bool TokenReader::accept(std::string_view text) {
  if (!at(text)) return false;
  take();
  return true;
}

void TokenReader::expect(std::string_view text) {
  if (!accept(text)) {
    fail("expected '" + std::string(text) + "', found '" + std::string(peek().text) + "'");
  }
}

std::string_view TokenReader::take_word(const char* what) {
  if (peek().kind != Token::Kind::word) {
    fail(std::string("expected ") + what + ", found '" + std::string(peek().text) + "'");
  }
  return take().text;
}

std::int64_t TokenReader::take_integer(const char* what) {
  Operand literal;
  read_literal(literal);
  if (literal.kind != Operand::Kind::integer) fail(std::string("expected ") + what);
  return static_cast<std::int64_t>(literal.bits);
}

void TokenReader::fail(const std::string& message) const { throw ParseError(peek().line, message); }

void TokenReader::read_literal(Operand& out) {
  bool negative = false;
  bool inverted = false;
  for (;;) {
    if (accept("-")) {
      negative = !negative;
    } else if (accept("~")) {
      inverted = !inverted;
    } else if (!accept("+")) {
      break;
    }
  }
  if (peek().kind != Token::Kind::number) {
    fail("expected a number, found '" + std::string(peek().text) + "'");
  }
  std::string_view text = take().text;
  const auto prefix = [&](char lower, char upper) {
    return text.size() > 2 && text[0] == '0' && (text[1] == lower || text[1] == upper);
  };
  const auto parse = [&](std::string_view digits, int base) {
    while (!digits.empty() && (digits.back() == 'U' || digits.back() == 'u')) {
      digits.remove_suffix(1);
    }
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
      fail("malformed number '" + std::string(text) + "'");
    }
    return value;
  };
  if (prefix('f', 'F')) {
    out.kind = Operand::Kind::f32;
    out.bits = parse(text.substr(2), 16);
    if (negative) out.bits ^= 0x80000000u;
  } else if (prefix('d', 'D')) {
    out.kind = Operand::Kind::f64;
    out.bits = parse(text.substr(2), 16);
    if (negative) out.bits ^= std::uint64_t{1} << 63;
  } else if (!prefix('x', 'X') && text.find_first_of(".eE") != std::string_view::npos) {
    out.kind = Operand::Kind::f64;
    const double value = std::strtod(std::string(text).c_str(), nullptr);
    out.bits = std::bit_cast<std::uint64_t>(negative ? -value : value);
  } else {
    out.kind = Operand::Kind::integer;
    if (prefix('x', 'X')) {
      out.bits = parse(text.substr(2), 16);
    } else if (prefix('b', 'B')) {
      out.bits = parse(text.substr(2), 2);
    } else if (text.size() > 1 && text[0] == '0' && text[1] != 'U') {
      out.bits = parse(text.substr(1), 8);
    } else {
      out.bits = parse(text, 10);
    }
    if (inverted) out.bits = ~out.bits;
    if (negative) out.bits = 0 - out.bits;
  }
}

}  // namespace gpu::ptx
