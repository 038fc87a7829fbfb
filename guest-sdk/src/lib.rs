//! Write Colony merge and placement plugins.
