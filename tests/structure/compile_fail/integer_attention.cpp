// refused: Element<|'Element'

attend::Attend<int> integers;
