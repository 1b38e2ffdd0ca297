// refused: Element<
#include "tensors.hpp"

attend::Attend<int> integers;
