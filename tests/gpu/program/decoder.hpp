#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/program/function.hpp"
#include "gpu/program/program.hpp"
#include "gpu/ptx/ast.hpp"

namespace gpu {

/// An instruction or a form of it that the machine doesn't know; the message says which part.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What symbols of a module stand for.
struct Symbols {
  struct Entry {
    ptx::Space space;
    std::uint64_t address;
    bool is_dynamic = false;  ///< extern shared: known only at the launch
  };
  std::map<std::string_view, Entry> variables;                ///< global, const, shared
  std::map<std::string_view, Function*> functions;            ///< with bodies
  std::map<std::string_view, const ptx::Function*> declared;  ///< all of them
  const std::map<std::string, std::string>* aliases = nullptr;
};

/// Bytes of shared memory that all variables of a module may take: more than any device has.
constexpr std::size_t kMostShared = 1 << 20;
/// Throws ParseError if a variable does not fit: `most` bytes of that kind of memory, placed `at`.
void check_room(const ptx::Variable& variable, std::size_t at, std::size_t most, const char* what);

/// Decodes the statements of one function. An instruction's Decode function asks it for the
/// modifiers and operands of the current statement.
class Decoder {
 public:
  Decoder(const ptx::Module& module, const ptx::Function& source, const Symbols& symbols,
          Function& out, std::uint32_t shared_start);

  /// Decodes all; what is unknown becomes an instruction that fails when it is executed.
  void run();
  /// End of the function's own static shared variables, in bytes from the start of shared memory.
  std::uint32_t shared_end() const { return shared_end_; }

  // For Decode functions:

  Instruction& in() { return instruction_; }
  const ptx::Statement& statement() const { return *statement_; }
  std::size_t operand_count() const { return statement_->operands.size(); }
  const ptx::Operand& operand(std::size_t i) const;

  /// Throws unless the module is for that major compute capability or a later one.
  void require_target(int major) const;
  /// Takes the modifier if the statement has it (each can be taken once).
  bool accept(std::string_view modifier);
  void expect(std::string_view modifier);
  /// Takes the first of these modifiers that is there; returns its index or -1.
  int accept_one(std::initializer_list<std::string_view> modifiers);
  /// Takes the next modifier that names a type; throws where there is none.
  ptx::Type take_type();
  bool has_type() const;
  bool has(std::string_view modifier) const;
  /// Takes the first modifier left, "" if there is none.
  std::string_view take_any();
  /// Takes .relaxed/.acquire..., .cta/.gpu/.sys, cache hints. Returns what was there.
  struct Ordering {
    bool is_volatile = false, relaxed = false, acquire = false, release = false;
    bool strong() const { return is_volatile || relaxed || acquire || release; }
  };
  Ordering take_ordering();
  ptx::Space take_space();

  /// Adds destination / source operand i with a register of the type's size.
  void dst(std::size_t i, ptx::Type type) { dst(operand(i), type); }
  void src(std::size_t i, ptx::Type type) { src(operand(i), type); }
  void dst(const ptx::Operand& operand, ptx::Type type);
  void src(const ptx::Operand& operand, ptx::Type type);
  /// A register as it is, of any width (ld, st, cvt allow wider ones).
  void dst_any(const ptx::Operand& operand);
  void src_any(const ptx::Operand& operand, ptx::Type type);
  void dst_ref(Ref ref) { dsts_.push_back(ref); }
  void src_ref(Ref ref) { srcs_.push_back(ref); }
  Ref last_dst() const { return dsts_.back(); }
  Ref last_src() const { return srcs_.back(); }
  /// 128 bits: a register of that size, or {a, b} of two 64-bit ones; adds two references.
  void dst_pair(const ptx::Operand& operand);
  void src_pair(const ptx::Operand& operand);
  /// The predicate q of operand p|q, or of a plain predicate operand.
  Ref predicate(std::int32_t reg, bool negated = false);
  /// The condition code register of add.cc and its like.
  Ref carry();
  /// A source that holds the same value in all lanes.
  Ref constant(std::uint64_t bits, bool wide);
  /// [base + offset]: sets in().offset, in().local_frame and adds the base as the next source (a
  /// constant where the base is a symbol). Returns the space of the symbol (generic for registers).
  ptx::Space address(const ptx::Operand& operand);
  /// The value of an integer literal operand; throws where it is none.
  std::int64_t literal(std::size_t i) const;
  bool is_literal(std::size_t i) const;
  ptx::Type register_type(const ptx::Operand& operand) const;
  bool is_sink(std::size_t i) const;
  std::uint32_t label(const ptx::Operand& operand) const;
  const ptx::Function& source() const { return source_; }
  const Symbols& symbols() const { return symbols_; }
  Function& out() { return out_; }
  Function::Area frame_area(const ptx::Operand& operand) const;
  /// Sets run and shadow of an instruction whose lanes are independent.
  void set(Run run, Run shadow) {
    instruction_.run = run;
    instruction_.shadow = shadow;
  }

 private:
  void lay_out_locals();
  void decode(const ptx::Statement& statement);
  void finish(const ptx::Statement& statement);
  void check_modifiers() const;
  Ref reg(std::int32_t index);
  std::pair<Ref, Ref> pair_of(std::int32_t index);
  Ref special(std::string_view name);
  Ref special_slot(Special special, std::uint64_t addend, bool wide, bool predicate = false);
  Ref fresh(bool wide, bool predicate);
  Ref symbol_value(const ptx::Operand& operand, bool wide);

  struct Pending {
    std::size_t dst, src;
    std::uint8_t dst_count, src_count;
  };

  const ptx::Module& module_;
  const ptx::Function& source_;
  const Symbols& symbols_;
  Function& out_;
  std::map<std::string_view, Function::Area, std::less<>> frame_;  ///< local and param variables
  std::map<std::string_view, std::uint32_t> shared_;  ///< address of static shared variables
  std::map<std::string_view, std::uint32_t> kernel_parameters_;
  std::map<std::pair<int, std::uint64_t>, Ref> special_slots_;
  std::map<std::pair<std::uint64_t, bool>, Ref> constants_;
  std::uint32_t shared_end_ = 0;
  Ref carry_;
  bool has_carry_ = false;
  const ptx::Statement* statement_ = nullptr;
  Instruction instruction_;
  std::vector<std::string_view> modifiers_;
  std::vector<Ref> dsts_, srcs_;
  std::vector<Pending> pending_;
  /// Those that were named; halves of 128 bits.
  std::vector<std::optional<std::pair<Ref, Ref>>> registers_;
  std::uint32_t virtuals_ = 0;  ///< places that were given
};

/// Gives the virtual registers of a decoded function places, so that those not alive at the same
/// time share one. Sets Function::units and Function::pressure. `virtuals`: number of virtual
/// registers.
void allocate_registers(Function& function, std::uint32_t virtuals);

}  // namespace gpu
