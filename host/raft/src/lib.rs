//! The group: openraft behind a facade, its log on redb or in memory.
