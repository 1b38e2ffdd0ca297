#pragma once

#include <string_view>
#include <vector>

namespace gpu::ptx {

/// One token of PTX text. Words carry their dots ("ld.global.v4.f32", "%tid.x", ".reg"). The body
/// of a kernel is one token, braces included: most of a module's kernels are never read.
struct Token {
  enum class Kind { word, number, string, mark, body, end };
  Kind kind;
  std::string_view text;
  int line;
};

/// Splits PTX text, which has to outlive the tokens; the last token is an `end`.
/// Throws ParseError for a character that PTX doesn't have. `line`: where the text starts.
std::vector<Token> tokenize(std::string_view text, int line = 1);

}  // namespace gpu::ptx
