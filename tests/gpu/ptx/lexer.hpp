#pragma once

#include <string_view>
#include <vector>

namespace gpu::ptx {

/// One token of PTX text. Words carry their dots ("ld.global.v4.f32", "%tid.x", ".reg").
struct Token {
  enum class Kind { word, number, string, mark, end };
  Kind kind;
  std::string_view text;
  int line;
};

/// Splits PTX text, which has to outlive the tokens; the last token is an `end`.
/// Throws ParseError for a character that PTX doesn't have.
std::vector<Token> tokenize(std::string_view text);

}  // namespace gpu::ptx
