#include <array>

#include "gpu/ptx/ast.hpp"

namespace gpu::ptx {
namespace {

struct TypeRow {
  std::string_view name;
  Type type;
  unsigned bytes;
};

constexpr std::array kTypes = {
    TypeRow{"none", Type::none, 0},     TypeRow{"b8", Type::b8, 1},
    TypeRow{"b16", Type::b16, 2},       TypeRow{"b32", Type::b32, 4},
    TypeRow{"b64", Type::b64, 8},       TypeRow{"b128", Type::b128, 16},
    TypeRow{"u8", Type::u8, 1},         TypeRow{"u16", Type::u16, 2},
    TypeRow{"u32", Type::u32, 4},       TypeRow{"u64", Type::u64, 8},
    TypeRow{"s8", Type::s8, 1},         TypeRow{"s16", Type::s16, 2},
    TypeRow{"s32", Type::s32, 4},       TypeRow{"s64", Type::s64, 8},
    TypeRow{"u16x2", Type::u16x2, 4},   TypeRow{"s16x2", Type::s16x2, 4},
    TypeRow{"f16", Type::f16, 2},       TypeRow{"f16x2", Type::f16x2, 4},
    TypeRow{"bf16", Type::bf16, 2},     TypeRow{"bf16x2", Type::bf16x2, 4},
    TypeRow{"tf32", Type::tf32, 4},     TypeRow{"f32", Type::f32, 4},
    TypeRow{"f64", Type::f64, 8},       TypeRow{"e4m3", Type::e4m3, 1},
    TypeRow{"e5m2", Type::e5m2, 1},     TypeRow{"e4m3x2", Type::e4m3x2, 2},
    TypeRow{"e5m2x2", Type::e5m2x2, 2}, TypeRow{"pred", Type::pred, 0},
};

const TypeRow& row(Type type) { return kTypes[static_cast<std::size_t>(type)]; }

}  // namespace

Type type_of(std::string_view name) {
  for (const TypeRow& r : kTypes) {
    if (r.type != Type::none && r.name == name) return r.type;
  }
  return Type::none;
}

std::string_view to_string(Type type) { return row(type).name; }
unsigned bytes_of(Type type) { return row(type).bytes; }

bool is_signed(Type type) {
  return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

bool is_float(Type type) { return (type >= Type::f16 && type <= Type::e5m2x2); }

}  // namespace gpu::ptx
