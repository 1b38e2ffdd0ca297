#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace gpu {

struct Instruction;

/// A is 64 x depth, B is depth x columns.
struct ProductShape {
  std::uint32_t columns = 0;
  std::uint32_t depth = 0;
  bool operator==(const ProductShape&) const = default;
};

/// A product of a warpgroup that its four warps start together (wgmma.mma_async): what it reads.
struct Product {
  const Instruction* in = nullptr;
  std::uint32_t site = 0;
  ProductShape shape;
  std::uint64_t descriptor_a = 0;  ///< 0: A comes from registers
  std::uint64_t descriptor_b = 0;
  bool accumulates = false;  ///< scale-d
  std::uint32_t arrived = 0;
  std::vector<std::uint32_t> places_a;  ///< of 16 bytes each in shared memory
  std::vector<std::uint32_t> places_b;
  bool sound = true;   ///< false: it was reported, its result is undefined
  bool taken = false;  ///< shared memory has been read
  std::vector<float> a, b;
  std::uint64_t undefined_rows = 0;  ///< of A
  std::bitset<256> undefined_columns;
};

/// The accumulators of a warp while products write them: 16 rows of the warpgroup's 64. Their
/// registers get the values when the last of these products has been waited for.
struct Accumulators {
  ProductShape shape;                ///< of the products
  std::uint32_t site = 0;            ///< of the last product
  std::uint32_t pending = 0;         ///< products
  std::vector<float> values;         ///< 16 x columns
  std::vector<std::uint8_t> doubts;  ///< the same shape, 1: undefined; empty: all defined
  /// Element of the fragment and register; copies made in flight are further names of it.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> names;
  /// Values to start from: they were in flight, but under other names too, when this began.
  std::shared_ptr<Accumulators> before;
};

/// A warp's part in a product.
struct StartedProduct {
  std::shared_ptr<Product> product;
  std::shared_ptr<Accumulators> accumulators;
  std::vector<std::uint32_t> registers_a;
};

/// The products that a warp has started and not waited for: those not committed yet, and committed
/// groups, oldest first.
struct ProductQueue {
  std::vector<StartedProduct> open;
  std::deque<std::vector<StartedProduct>> groups;
  /// Nothing is in flight.
  bool idle() const {
    if (!open.empty()) return false;
    for (const auto& group : groups) {
      if (!group.empty()) return false;
    }
    return true;
  }
};

/// What is known of a register that products use. A stamp is the number of wgmma.fence that the
/// warp had executed, plus 1.
struct HeldRegister {
  std::shared_ptr<Accumulators> accumulators;  ///< in flight: products will write it
  std::uint32_t element = 0;                   ///< of the accumulators
  std::uint32_t readers = 0;                   ///< products in flight that have it as A
  std::uint32_t accessed = 0;                  ///< stamp of other instructions
  std::uint32_t written = 0;                   ///< stamp of other instructions that write it
  std::uint32_t by = 0;                        ///< site of the last of them
  std::uint32_t produced = 0;                  ///< stamp of products
  ProductShape shape;                          ///< of the last product
  bool is_result = false;                      ///< a product wrote it last, and has ended
};

/// Four consecutive warps.
struct Warpgroup {
  std::shared_ptr<Product> gathering;      ///< some of its warps have reached it
  std::vector<const Instruction*> limits;  ///< every setmaxnreg so far
};

}  // namespace gpu
