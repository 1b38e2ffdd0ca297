#include "gpu/program/decoder.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "gpu/program/registry.hpp"

namespace gpu {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += '.';
    text += word;
  }
  return text;
}

/// Blanks and line ends of any length become one blank.
std::string tidy(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

bool is_wide(Type type) { return ptx::bytes_of(type) == 8; }

// What ptxas allows; shared memory is checked against the device at the launch.
constexpr std::size_t kMostLocal = 512 << 10;
constexpr std::size_t kMostParameters = 32764;

void run_unsupported(Warp&, const Instruction&);

}  // namespace

void check_room(const ptx::Variable& variable, std::size_t at, std::size_t most, const char* what) {
  if (at > most || variable.bytes > most - at) {
    throw ParseError(variable.line, variable.name + " and what is before it take more than " +
                                        std::to_string(most) + " bytes of " + what);
  }
}

// defined in machine/warp.cpp; here only its address is needed
void run_unsupported_instruction(Warp& warp, const Instruction& in);

namespace {
void run_unsupported(Warp& warp, const Instruction& in) { run_unsupported_instruction(warp, in); }
}  // namespace

Decoder::Decoder(const ptx::Module& module, const ptx::Function& source, const Symbols& symbols,
                 Function& out, std::uint32_t shared_start)
    : module_(module),
      source_(source),
      symbols_(symbols),
      out_(out),
      shared_end_(shared_start),
      registers_(source.registers.size()) {
  lay_out_locals();
}

void Decoder::lay_out_locals() {
  std::size_t frame = 0;
  const auto place = [&](const ptx::Variable& variable) {
    frame = round_up(frame, variable.alignment);
    check_room(variable, frame, kMostLocal, "local memory");
    const Function::Area area{static_cast<std::uint32_t>(frame),
                              static_cast<std::uint32_t>(variable.bytes)};
    frame_[variable.name] = area;
    frame += variable.bytes;
    return area;
  };
  if (source_.is_kernel) {
    std::size_t offset = 0;
    for (const ptx::Variable& parameter : source_.signature.parameters) {
      offset = round_up(offset, parameter.alignment);
      check_room(parameter, offset, kMostParameters, "parameters");
      kernel_parameters_[parameter.name] = static_cast<std::uint32_t>(offset);
      offset += parameter.bytes;
    }
  } else {
    for (const ptx::Variable& v : source_.signature.parameters) {
      out_.parameters.push_back(place(v));
    }
    for (const ptx::Variable& v : source_.signature.returns) out_.returns.push_back(place(v));
  }
  std::size_t shared = shared_end_;
  for (const ptx::Variable& variable : source_.locals) {
    if (variable.space == Space::shared) {
      shared = round_up(shared, variable.alignment);
      check_room(variable, shared, kMostShared, "shared memory");
      shared_[variable.name] = static_cast<std::uint32_t>(kSharedBase + shared);
      shared += variable.bytes;
    } else {
      place(variable);
    }
  }
  shared_end_ = static_cast<std::uint32_t>(shared);
  out_.frame_bytes = static_cast<std::uint32_t>(round_up(frame, 16));
}

void Decoder::run() {
  for (const ptx::Statement& statement : source_.statements) {
    statement_ = &statement;
    instruction_ = {};
    dsts_.clear();
    srcs_.clear();
    modifiers_.assign(statement.opcode.begin() + 1, statement.opcode.end());
    std::string problem;
    try {
      decode(statement);
    } catch (const Unsupported& e) {
      problem = e.what();
    }
    if (!problem.empty()) {
      instruction_ = {};
      dsts_.clear();
      srcs_.clear();
      instruction_.run = run_unsupported;
      instruction_.effect = true;
      out_.unsupported.push_back("line " + std::to_string(statement.line) + ": " +
                                 tidy(statement.text) + ": " + problem);
      instruction_.extra = static_cast<std::uint32_t>(out_.unsupported.size() - 1);
    }
    finish(statement);
  }
  // a body may end without ret
  static const ptx::Statement kEnd{{"ret"}, "ret", {}, -1, false, 0, {}};
  statement_ = &kEnd;
  instruction_ = {};
  dsts_.clear();
  srcs_.clear();
  modifiers_.clear();
  decode(kEnd);
  finish(kEnd);

  const Ref* at = out_.refs.data();
  for (std::size_t i = 0; i < out_.code.size(); ++i) {
    Instruction& in = out_.code[i];
    in.dst = at;
    in.src = at + in.dst_count;
    at += in.dst_count + in.src_count;
    in.function = &out_;
  }
  allocate_registers(out_, virtuals_);
}

void Decoder::decode(const ptx::Statement& statement) {
  const Decode decode = Registry::instance().find(statement.opcode[0]);
  if (decode == nullptr) {
    throw Unsupported("unknown instruction " + std::string(statement.opcode[0]));
  }
  decode(*this);
  check_modifiers();
  if (dsts_.size() > 255 || srcs_.size() > 255) throw Unsupported("too many operands");
  if (instruction_.run == nullptr) throw Unsupported("no such form of this instruction");
}

void Decoder::check_modifiers() const {
  if (!modifiers_.empty()) {
    throw Unsupported("unknown modifier ." + joined(modifiers_));
  }
}

void Decoder::finish(const ptx::Statement& statement) {
  if (statement.guard >= 0) {
    instruction_.guarded = true;
    instruction_.guard = reg(statement.guard);
    instruction_.guard.negated = statement.guard_negated;
  }
  instruction_.dst_count = static_cast<std::uint8_t>(dsts_.size());
  instruction_.src_count = static_cast<std::uint8_t>(srcs_.size());
  out_.refs.insert(out_.refs.end(), dsts_.begin(), dsts_.end());
  out_.refs.insert(out_.refs.end(), srcs_.begin(), srcs_.end());
  out_.code.push_back(instruction_);
  Site site;
  site.text = tidy(statement.text);
  site.opcode = joined(statement.opcode);
  site.ptx_line = statement.line;
  const auto file_of = [&](int number) {
    const auto it = module_.files.find(number);
    return it == module_.files.end() ? std::string() : it->second;
  };
  const ptx::SourceLine& source = statement.source;
  site.file = file_of(source.outer_file);
  site.line = source.outer_line;
  if (source.file != source.outer_file || source.line != source.outer_line) {
    site.inner_file = file_of(source.file);
    site.inner_line = source.line;
  }
  out_.sites.push_back(std::move(site));
}

const Operand& Decoder::operand(std::size_t i) const {
  if (i >= statement_->operands.size()) throw Unsupported("too few operands");
  return statement_->operands[i];
}

bool Decoder::is_sink(std::size_t i) const { return operand(i).kind == Operand::Kind::sink; }

bool Decoder::is_literal(std::size_t i) const { return operand(i).kind == Operand::Kind::integer; }

std::int64_t Decoder::literal(std::size_t i) const {
  if (!is_literal(i)) throw Unsupported("expected an integer literal");
  return static_cast<std::int64_t>(operand(i).bits);
}

Type Decoder::register_type(const Operand& operand) const {
  if (operand.kind != Operand::Kind::reg) return Type::none;
  return source_.registers[static_cast<std::size_t>(operand.reg)].type;
}

std::pair<Ref, Ref> Decoder::pair_of(std::int32_t index) {
  auto& known = registers_[static_cast<std::size_t>(index)];
  if (!known) {
    const Type type = source_.registers[static_cast<std::size_t>(index)].type;
    const bool is_pair = type == Type::b128;
    known.emplace();
    known->first = fresh(is_wide(type) || is_pair, type == Type::pred);
    if (is_pair) known->second = fresh(true, false);
  }
  return *known;
}

Ref Decoder::reg(std::int32_t index) {
  if (source_.registers[static_cast<std::size_t>(index)].type == Type::b128) {
    throw Unsupported("a 128-bit register can't stand here");
  }
  return pair_of(index).first;
}

Ref Decoder::predicate(std::int32_t index, bool negated) {
  Ref ref = reg(index);
  if (!ref.predicate) throw Unsupported("expected a predicate");
  ref.negated = negated;
  return ref;
}

Ref Decoder::fresh(bool wide, bool predicate) {
  Ref ref;
  ref.unit = virtuals_++;
  ref.wide = wide;
  ref.predicate = predicate;
  return ref;
}

Ref Decoder::carry() {
  if (!has_carry_) {
    carry_ = fresh(false, true);
    has_carry_ = true;
  }
  return carry_;
}

Ref Decoder::constant(std::uint64_t bits, bool wide) {
  const auto [it, inserted] = constants_.try_emplace({bits, wide});
  if (inserted) {
    Ref& ref = it->second;
    ref.bank = Ref::constants;
    ref.wide = wide;
    if (wide && out_.constants.size() / 32 % 2 != 0)
      out_.constants.resize(out_.constants.size() + 32);
    ref.unit = static_cast<std::uint32_t>(out_.constants.size() / 32);
    for (int lane = 0; lane < 32; ++lane) {
      out_.constants.push_back(static_cast<std::uint32_t>(bits));
      if (wide) out_.constants.push_back(static_cast<std::uint32_t>(bits >> 32));
    }
  }
  return it->second;
}

void Decoder::dst(const Operand& operand, Type type) {
  if (operand.kind == Operand::Kind::sink) {
    dsts_.push_back(fresh(is_wide(type), type == Type::pred));
    return;
  }
  if (operand.kind != Operand::Kind::reg) throw Unsupported("expected a register as destination");
  const Ref ref = reg(operand.reg);
  if (ref.wide != is_wide(type) || ref.predicate != (type == Type::pred)) {
    throw Unsupported("destination register of the wrong size");
  }
  dsts_.push_back(ref);
}

void Decoder::src(const Operand& operand, Type type) {
  const bool wide = is_wide(type);
  switch (operand.kind) {
    case Operand::Kind::reg: {
      Ref ref = reg(operand.reg);
      ref.negated = operand.negated;
      if (ref.wide != wide || ref.predicate != (type == Type::pred)) {
        throw Unsupported("source register of the wrong size");
      }
      srcs_.push_back(ref);
      return;
    }
    case Operand::Kind::integer: {
      if (type == Type::pred) {
        Ref ref = constant(operand.bits != 0 ? ~std::uint64_t{0} >> 32 : 0, false);
        ref.predicate = true;
        srcs_.push_back(ref);
        return;
      }
      std::uint64_t bits = operand.bits;
      const unsigned bytes = ptx::bytes_of(type);
      if (type == Type::f32) {
        bits = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int64_t>(bits)));
      } else if (type == Type::f64) {
        bits = std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<std::int64_t>(bits)));
      } else if (bytes < 8) {
        bits &= (std::uint64_t{1} << (8 * bytes)) - 1;
      }
      srcs_.push_back(constant(bits, wide));
      return;
    }
    case Operand::Kind::f32: {
      const auto single = static_cast<std::uint32_t>(operand.bits);
      srcs_.push_back(wide ? constant(std::bit_cast<std::uint64_t>(
                                          static_cast<double>(std::bit_cast<float>(single))),
                                      true)
                           : constant(single, false));
      return;
    }
    case Operand::Kind::f64:
      srcs_.push_back(wide ? constant(operand.bits, true)
                           : constant(std::bit_cast<std::uint32_t>(
                                          static_cast<float>(std::bit_cast<double>(operand.bits))),
                                      false));
      return;
    case Operand::Kind::special:
      srcs_.push_back(special(operand.name));
      if (srcs_.back().wide != wide) throw Unsupported("special register of another size");
      return;
    case Operand::Kind::symbol:
      srcs_.push_back(symbol_value(operand, wide));
      return;
    default:
      throw Unsupported("unexpected kind of operand");
  }
}

void Decoder::dst_any(const Operand& operand) {
  if (operand.kind == Operand::Kind::sink) {
    dsts_.push_back(fresh(true, false));
  } else if (operand.kind == Operand::Kind::reg) {
    dsts_.push_back(reg(operand.reg));
    if (dsts_.back().predicate) throw Unsupported("a predicate can't be this destination");
  } else {
    throw Unsupported("expected a register as destination");
  }
}

void Decoder::src_any(const Operand& operand, Type type) {
  if (operand.kind == Operand::Kind::reg) {
    const Ref ref = reg(operand.reg);
    if (ref.predicate) throw Unsupported("a predicate can't be this source");
    srcs_.push_back(ref);
  } else {
    src(operand, type);
  }
}

void Decoder::dst_pair(const Operand& operand) {
  if (operand.kind == Operand::Kind::vector && operand.items.size() == 2) {
    for (const Operand& item : operand.items) dst(item, Type::b64);
  } else if (operand.kind == Operand::Kind::reg && register_type(operand) == Type::b128) {
    const auto [low, high] = pair_of(operand.reg);
    dsts_.insert(dsts_.end(), {low, high});
  } else {
    throw Unsupported("expected 128 bits as destination");
  }
}

void Decoder::src_pair(const Operand& operand) {
  if (operand.kind == Operand::Kind::vector && operand.items.size() == 2) {
    for (const Operand& item : operand.items) src(item, Type::b64);
  } else if (operand.kind == Operand::Kind::reg && register_type(operand) == Type::b128) {
    const auto [low, high] = pair_of(operand.reg);
    srcs_.insert(srcs_.end(), {low, high});
  } else {
    throw Unsupported("expected 128 bits as source");
  }
}

Ref Decoder::symbol_value(const Operand& operand, bool wide) {
  const auto plus = [&](std::uint64_t address) { return constant(address + operand.bits, wide); };
  if (const auto it = shared_.find(operand.name); it != shared_.end()) return plus(it->second);
  if (const auto it = frame_.find(operand.name); it != frame_.end()) {
    return special_slot(Special::local_frame, it->second.offset + operand.bits, wide);
  }
  if (const auto it = kernel_parameters_.find(operand.name); it != kernel_parameters_.end()) {
    return plus(it->second);
  }
  if (const auto it = symbols_.variables.find(operand.name); it != symbols_.variables.end()) {
    if (it->second.is_dynamic) return special_slot(Special::dynamic_shared, operand.bits, wide);
    return plus(it->second.address);
  }
  std::string_view name = operand.name;
  if (const auto it = symbols_.aliases->find(std::string(name)); it != symbols_.aliases->end()) {
    name = it->second;
  }
  if (const auto it = symbols_.functions.find(name); it != symbols_.functions.end()) {
    return constant(kFunctionBase + 16 * static_cast<std::uint64_t>(it->second->index), wide);
  }
  throw Unsupported("unknown symbol '" + std::string(operand.name) + "'");
}

Space Decoder::address(const Operand& operand) {
  if (operand.kind != Operand::Kind::address) throw Unsupported("expected an address");
  const Operand& base = operand.items[0];
  instruction_.offset = static_cast<std::int64_t>(operand.bits);
  if (base.kind == Operand::Kind::reg) {
    const Ref ref = reg(base.reg);
    if (ref.predicate) throw Unsupported("a predicate can't be an address");
    srcs_.push_back(ref);
    return Space::generic;
  }
  if (base.kind == Operand::Kind::integer) {
    srcs_.push_back(constant(base.bits, true));
    return Space::generic;
  }
  if (base.kind != Operand::Kind::symbol) throw Unsupported("malformed address");
  if (const auto it = frame_.find(base.name); it != frame_.end()) {
    instruction_.local_frame = true;
    instruction_.offset += it->second.offset;
    srcs_.push_back(constant(0, true));
    return Space::local;
  }
  Operand plain = base;
  plain.bits = 0;
  srcs_.push_back(symbol_value(plain, true));
  if (shared_.contains(base.name)) return Space::shared;
  if (kernel_parameters_.contains(base.name)) return Space::param;
  const auto it = symbols_.variables.find(base.name);
  return it != symbols_.variables.end() ? it->second.space : Space::generic;
}

Function::Area Decoder::frame_area(const Operand& operand) const {
  const auto it = frame_.find(operand.name);
  if (operand.kind != Operand::Kind::symbol || it == frame_.end()) {
    throw Unsupported("expected a parameter variable");
  }
  return it->second;
}

std::uint32_t Decoder::label(const Operand& operand) const {
  if (operand.kind != Operand::Kind::label) {
    throw Unsupported("unknown label '" + std::string(operand.name) + "'");
  }
  return static_cast<std::uint32_t>(operand.bits);
}

}  // namespace gpu
