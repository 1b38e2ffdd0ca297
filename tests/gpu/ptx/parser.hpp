#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/ptx/ast.hpp"
#include "gpu/ptx/lexer.hpp"
#include "gpu/ptx/scope.hpp"

namespace gpu::ptx {

/// Walks over the tokens; the base of the parsers of declarations and of bodies.
class TokenReader {
 public:
  explicit TokenReader(const std::vector<Token>& tokens) : tokens_(tokens) {}

 protected:
  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take();
  bool at(std::string_view text) const { return is(peek(), text); }
  bool accept(std::string_view text);
  void expect(std::string_view text);
  std::string_view take_word(const char* what);
  std::int64_t take_integer(const char* what);
  [[noreturn]] void fail(const std::string& message) const;
  static bool is(const Token& token, std::string_view text) {
    return token.text == text &&
           (token.kind == Token::Kind::word || token.kind == Token::Kind::mark);
  }

  /// Reads a literal into `out` (kind and bits), with an optional sign before it.
  void read_literal(Operand& out);

 private:
  const std::vector<Token>& tokens_;
  std::size_t at_ = 0;
};

/// Reads everything but statements.
class DeclarationReader : public TokenReader {
 public:
  using TokenReader::TokenReader;

 protected:
  /// ".align 8 .b8 name[16] = {...}" after the space was read.
  Variable read_variable(Space space);
  Signature read_signature_parameters();
  std::vector<Variable> read_parameter_list();
  void skip_section();
  void skip_statement();

 private:
  void read_initialiser(Variable& variable);
  void read_element(Variable& variable, std::size_t& offset);
};

/// Reads the statements of a function.
class BodyReader : public DeclarationReader {
 public:
  using DeclarationReader::DeclarationReader;

 protected:
  /// From after "{" to after its "}".
  void read_body(Function& function, Module& module);
  void read_file(Module& module);

 private:
  void read_block();
  void read_item();
  void read_directive();
  void read_registers();
  void read_location();
  void read_local(Space space);
  void read_statement();
  Operand read_operand();
  Operand read_address();
  Operand read_group(Operand::Kind kind, std::string_view close);
  Operand read_name();
  std::int32_t find_register(std::string_view name) const;
  std::int32_t need_register(std::string_view name) const;
  void close_scope();
  static Operand* nth_name(Statement& statement, std::size_t n);

  Function* function_ = nullptr;
  Module* module_ = nullptr;
  std::vector<Scope> scopes_;
  using Place = std::array<int, 3>;  ///< file, line, column
  SourceLine location_;
  std::map<Place, Place> outermost_;  ///< of inlined places: where the chain of calls starts
  std::size_t names_in_statement_ = 0;
};

/// Reads a kernel's body.
class KernelReader : public BodyReader {
 public:
  using BodyReader::BodyReader;
  void run(Function& kernel, Module& module);
};

/// Reads a module.
class ModuleReader : public BodyReader {
 public:
  using BodyReader::BodyReader;
  Module run();

 private:
  void read_item();
  void read_target();
  void read_function(bool is_kernel);
  void read_function_directives(Function& function);
  std::array<int, 3> read_dimensions();

  Module module_;
  std::map<std::string, std::size_t> known_;  ///< index of each function
};

}  // namespace gpu::ptx
