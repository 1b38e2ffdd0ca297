#include <cstdio>
#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/print.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Type;

u32 lane_of(u32 set) { return static_cast<u32>(std::countr_zero(set)); }

void decode_bra(Decoder& d) {
  d.accept("uni");
  d.in().target = d.label(d.operand(0));
  d.in().flow = Flow::jump;
  d.in().effect = true;
  d.set([](Warp& w, const Instruction& in) { w.branch(w.active, in.target); }, nullptr);
}

void decode_brx(Decoder& d) {
  d.expect("idx");
  d.accept("uni");
  d.src(0, Type::u32);
  const auto it = d.source().branch_tables.find(d.operand(1).name);
  if (it == d.source().branch_tables.end()) throw Unsupported("unknown table of targets");
  std::vector<u32> table;
  for (const u64 target : it->second) table.push_back(static_cast<u32>(target));
  d.in().extra = static_cast<u32>(d.out().branch_tables.size());
  d.out().branch_tables.push_back(std::move(table));
  d.in().flow = Flow::table;
  d.in().effect = true;
  d.set(
      [](Warp& w, const Instruction& in) {
        const auto& table_of = in.function->branch_tables[in.extra];
        u32 lanes = w.active;
        lanes &= ~w.require_defined(in, 0, 1, Fault::undefined_branch, "the branch's index");
        std::vector<std::pair<u32, u32>> ways;
        const u32* index = w.words(in.src[0]);
        for (u32 set = lanes; set != 0;) {
          const u32 value = index[lane_of(set)];
          u32 same = 0;
          for (u32 rest = set; rest != 0; rest &= rest - 1) {
            if (index[lane_of(rest)] == value) same |= 1u << lane_of(rest);
          }
          set &= ~same;
          if (value >= table_of.size()) {
            w.fail(Fault::undefined_branch, same,
                   "index " + std::to_string(value) + " of a table of " +
                       std::to_string(table_of.size()) + " branch targets");
            continue;
          }
          ways.emplace_back(same, table_of[value]);
        }
        w.scatter(ways);
      },
      nullptr);
}

/// Copies a parameter between the frames of caller and callee, in local memory.
void copy_area(Warp& w, u32 lanes, u32 from, u32 to, u32 bytes) {
  for (u32 set = lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    std::memcpy(w.local_data(lane) + to, w.local_data(lane) + from, bytes);
    std::memcpy(w.local_defined(lane) + to, w.local_defined(lane) + from, bytes);
  }
}

void return_value(Warp& w, const Function::Call& call, u32 lanes, u64 value) {
  for (u32 set = lanes; set != 0 && !call.results.empty(); set &= set - 1) {
    const u32 lane = lane_of(set);
    const Function::Area area = call.results[0];
    const u32 at = w.frame->local_base + area.offset;
    std::memcpy(w.local_data(lane) + at, &value, std::min<u32>(area.bytes, 8));
    std::memset(w.local_defined(lane) + at, 0xFF, area.bytes);
  }
}

u64 argument(Warp& w, const Function::Call& call, std::size_t i, u32 lane) {
  u64 value = 0;
  const Function::Area area = call.arguments[i];
  std::memcpy(&value, w.local_data(lane) + w.frame->local_base + area.offset,
              std::min<u32>(area.bytes, 8));
  return value;
}

void call_builtin(Warp& w, const Function::Call& call) {
  using Builtin = Function::Call::Builtin;
  switch (call.builtin) {
    case Builtin::printf:
      for (u32 set = w.active; set != 0; set &= set - 1) {
        const u32 lane = lane_of(set);
        w.worker().launch.print(
            formatted(w, lane, argument(w, call, 0, lane), argument(w, call, 1, lane)));
      }
      return return_value(w, call, w.active, 1);
    case Builtin::assert_fail: {
      const u32 lane = lane_of(w.active);
      const std::string message = read_text(w, lane, argument(w, call, 0, lane));
      const std::string file = read_text(w, lane, argument(w, call, 1, lane));
      w.fail(Fault::trap, w.active,
             "assertion failed: " + message + " (" + file + ":" +
                 std::to_string(argument(w, call, 2, lane) & 0xFFFFFFFF) + ")");
      return w.exit(w.active);
    }
    default:
      w.fail(Fault::unsupported, w.active, "malloc and free on the device are not supported");
      return_value(w, call, w.active, 0);
  }
}

void enter_function(Warp& w, const Instruction& in, const Function& callee, u32 lanes) {
  const Function::Call& call = in.function->calls[in.extra];
  if (call.arguments.size() != callee.parameters.size()) {
    w.fail(Fault::bad_call, lanes, "calls " + callee.name + " with the wrong number of arguments");
    return;
  }
  const u32 caller_base = w.frame->local_base;
  const u32 callee_base = caller_base + w.frame->function->frame_bytes;
  w.call(in, callee, lanes);  // reserves the callee's local memory
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    copy_area(w, lanes, caller_base + call.arguments[i].offset,
              callee_base + callee.parameters[i].offset,
              std::min(call.arguments[i].bytes, callee.parameters[i].bytes));
  }
}

void call_run(Warp& w, const Instruction& in) {
  const Function::Call& call = in.function->calls[in.extra];
  if (call.builtin != Function::Call::Builtin::none) return call_builtin(w, call);
  if (call.callee != nullptr) return enter_function(w, in, *call.callee, w.active);
  u32 lanes = w.active & ~w.require_defined(in, 0, 1, Fault::undefined_branch, "the function");
  const auto& functions = w.worker().launch.kernel.module->program().functions;
  std::array<u64, 32> targets{};
  for (u32 lane = 0; lane < 32; ++lane) targets[lane] = w.value(in.src[0], lane);
  std::vector<std::pair<u32, const Function*>> groups;
  for (u32 set = lanes; set != 0;) {
    const u64 target = targets[lane_of(set)];
    u32 same = 0;
    for (u32 rest = set; rest != 0; rest &= rest - 1) {
      if (targets[lane_of(rest)] == target) same |= 1u << lane_of(rest);
    }
    set &= ~same;
    const u64 index = (target - kFunctionBase) / 16;
    if ((target & kWindowMask) != kFunctionBase || index >= functions.size() ||
        functions[index]->code.empty()) {
      w.fail(Fault::bad_call, same, "calls an address that is no function's");
      continue;
    }
    groups.emplace_back(same, functions[index].get());
  }
  Frame* const caller = w.frame;
  const u32 return_to = w.pc;
  for (const auto& [same, callee] : groups) {
    w.frame = caller;
    w.pc = return_to;
    w.group_lanes = same;
    enter_function(w, in, *callee, same);
  }
}

void decode_call(Decoder& d) {
  d.accept("uni");
  Function::Call call;
  std::size_t at = 0;
  if (d.operand(at).kind == Operand::Kind::list) {
    for (const Operand& result : d.operand(at).items) call.results.push_back(d.frame_area(result));
    ++at;
  }
  const Operand& target = d.operand(at++);
  if (at < d.operand_count() && d.operand(at).kind == Operand::Kind::list) {
    for (const Operand& a : d.operand(at).items) call.arguments.push_back(d.frame_area(a));
    ++at;
  }
  if (target.kind == Operand::Kind::reg) {
    d.src(target, Type::u64);
  } else if (target.kind == Operand::Kind::symbol) {
    std::string name(target.name);
    if (const auto it = d.symbols().aliases->find(name); it != d.symbols().aliases->end()) {
      name = it->second;
    }
    using Builtin = Function::Call::Builtin;
    const auto it = d.symbols().functions.find(name);
    if (it != d.symbols().functions.end()) {
      call.callee = it->second;
    } else if (name == "vprintf") {
      call.builtin = Builtin::printf;
    } else if (name == "__assertfail") {
      call.builtin = Builtin::assert_fail;
    } else if (name == "malloc") {
      call.builtin = Builtin::malloc;
    } else if (name == "free") {
      call.builtin = Builtin::free;
    } else {
      throw Unsupported("call of unknown function '" + name + "'");
    }
  } else {
    throw Unsupported("malformed call");
  }
  d.in().extra = static_cast<u32>(d.out().calls.size());
  d.out().calls.push_back(std::move(call));
  d.in().effect = true;
  d.set(call_run, nullptr);
}

void return_run(Warp& w, const Instruction& in) {
  const Frame& frame = *w.frame;
  if (frame.parent != nullptr) {
    const Function& caller = *frame.parent->function;
    const Function::Call& call = caller.calls[caller.code[frame.call].extra];
    for (std::size_t i = 0; i < call.results.size() && i < in.function->returns.size(); ++i) {
      copy_area(w, w.active, frame.local_base + in.function->returns[i].offset,
                frame.parent->local_base + call.results[i].offset,
                std::min(call.results[i].bytes, in.function->returns[i].bytes));
    }
  }
  w.leave(w.active);
}

void decode_ret(Decoder& d) {
  d.accept("uni");
  d.in().flow = Flow::stop;
  d.in().effect = true;
  d.set(return_run, nullptr);
}

void decode_exit(Decoder& d) {
  d.in().flow = Flow::stop;
  d.in().effect = true;
  d.set([](Warp& w, const Instruction&) { w.exit(w.active); }, nullptr);
}

void decode_trap(Decoder& d) {
  d.in().effect = true;
  d.set(
      [](Warp& w, const Instruction&) {
        w.fail(Fault::trap, w.active, "the program stops itself");
        w.exit(w.active);
      },
      nullptr);
}

void decode_nanosleep(Decoder& d) {
  d.expect("u32");
  d.src(0, Type::u32);
  d.set([](Warp& w, const Instruction&) { w.block.spend(5000); }, nullptr);
}

}  // namespace

void register_control(Registry& r) {
  r.add("bra", decode_bra);
  r.add("brx", decode_brx);
  r.add("call", decode_call);
  r.add("ret", decode_ret);
  r.add("exit", decode_exit);
  r.add("trap", decode_trap);
  r.add("brkpt", decode_trap);
  r.add("nanosleep", decode_nanosleep);
}

}  // namespace gpu::ops
