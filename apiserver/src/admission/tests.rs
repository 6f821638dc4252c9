//! What the plugins make of objects, in upstream's words.
