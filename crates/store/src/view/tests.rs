//! Tests of the view alone, fed by hand.
