#pragma once

#include <map>
#include <string_view>

namespace gpu {

class Decoder;

/// Decodes one statement: reads its modifiers and operands and sets the instruction's fields.
using Decode = void (*)(Decoder&);

/// Every instruction by its first word. A group of instructions is a file in ops/ with a function
/// `register_...` that adds its own; registry.cpp lists the groups.
class Registry {
 public:
  static const Registry& instance();

  void add(std::string_view mnemonic, Decode decode) { decoders_[mnemonic] = decode; }
  Decode find(std::string_view mnemonic) const {
    const auto it = decoders_.find(mnemonic);
    return it == decoders_.end() ? nullptr : it->second;
  }

 private:
  std::map<std::string_view, Decode> decoders_;
};

}  // namespace gpu
