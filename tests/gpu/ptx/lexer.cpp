#include "gpu/ptx/lexer.hpp"

#include <array>
#include <string>

#include "gpu/machine/module.hpp"

namespace gpu::ptx {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}
bool starts_word(char c) { return is_letter(c) || c == '%' || c == '.'; }
bool continues_word(char c) { return starts_word(c) || is_digit(c); }

/// By character: braces, and what may hide some or ends a line.
bool matters_in_body(char c) {
  static constexpr auto kTable = [] {
    std::array<bool, 256> table{};
    for (const char each : {'{', '}', '"', '/', '\n'})
      table[static_cast<unsigned char>(each)] = true;
    return table;
  }();
  return kTable[static_cast<unsigned char>(c)];
}

class Lexer {
 public:
  Lexer(std::string_view text, int line) : text_(text), line_(line) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    tokens_.push_back({Token::Kind::end, {}, line_});
    return std::move(tokens_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void emit(Token::Kind kind, std::size_t from) {
    tokens_.push_back({kind, text_.substr(from, at_ - from), line_});
  }

  void step() {
    const char c = peek();
    if (c == '\n') {
      ++line_;
      ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\0') {
      ++at_;
    } else if (c == '/' && peek(1) == '/') {
      remark();
    } else if (c == '/' && peek(1) == '*') {
      comment();
    } else if (c == '"') {
      const std::size_t from = at_ + 1;
      string();
      tokens_.push_back({Token::Kind::string, text_.substr(from, at_ - 1 - from), line_});
    } else if (is_digit(c)) {
      number();
    } else if (starts_word(c)) {
      word();
    } else {
      mark();
    }
  }

  void remark() {
    while (at_ < text_.size() && peek() != '\n') ++at_;
  }

  void comment() {
    const int start = line_;
    for (at_ += 2; !(peek() == '*' && peek(1) == '/'); ++at_) {
      if (at_ >= text_.size()) throw ParseError(start, "comment without end");
      if (peek() == '\n') ++line_;
    }
    at_ += 2;
  }

  void string() {
    for (++at_; peek() != '"'; ++at_) {
      if (at_ >= text_.size() || peek() == '\n') throw ParseError(line_, "string without end");
    }
    ++at_;
  }

  void body() {
    const std::size_t from = at_;
    const int start = line_;
    int depth = 0;
    do {
      if (at_ >= text_.size()) throw ParseError(start, "function without end: expected '}'");
      const char c = text_[at_];
      if (c == '/' && peek(1) == '/') {
        remark();
      } else if (c == '/' && peek(1) == '*') {
        comment();
      } else if (c == '"') {
        string();
      } else {
        if (c == '\n') ++line_;
        if (c == '{') ++depth;
        if (c == '}') --depth;
        do ++at_;
        while (at_ < text_.size() && !matters_in_body(text_[at_]));
      }
    } while (depth > 0);
    tokens_.push_back({Token::Kind::body, text_.substr(from, at_ - from), start});
    heads_kernel_ = false;
  }

  void number() {
    const std::size_t from = at_;
    const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X' || peek(1) == 'f' ||
                                       peek(1) == 'F' || peek(1) == 'd' || peek(1) == 'D');
    while (is_digit(peek()) || is_letter(peek()) || peek() == '.' ||
           (!hex && (peek() == '+' || peek() == '-') &&
            (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'))) {
      ++at_;
    }
    emit(Token::Kind::number, from);
  }

  void word() {
    const std::size_t from = at_++;
    for (;;) {
      if (continues_word(peek())) {
        ++at_;
      } else if (peek() == ':' && peek(1) == ':' && continues_word(peek(2))) {
        at_ += 2;
      } else {
        break;
      }
    }
    emit(Token::Kind::word, from);
    if (tokens_.back().text == ".entry") heads_kernel_ = true;
  }

  void mark() {
    static constexpr std::string_view kMarks = "{}[]()<>,;:@!+-*/=|&~^?";
    if (kMarks.find(peek()) == std::string_view::npos) {
      throw ParseError(line_, std::string("unexpected character '") + peek() + "'");
    }
    if (peek() == '{' && heads_kernel_) return body();
    if (peek() == ';') heads_kernel_ = false;
    ++at_;
    emit(Token::Kind::mark, at_ - 1);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_;
  bool heads_kernel_ = false;  ///< after .entry
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text, int line) { return Lexer(text, line).run(); }

}  // namespace gpu::ptx
