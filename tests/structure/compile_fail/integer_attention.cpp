// refused: Element<

attend::Attend<int> integers;
