-- Each 8 bytes hold their offset, big endian, as in nbdkit-pattern-plugin; this takes no memory.
-- nbdkit ./memory.so size=8P hooks=scripts/pattern.lua

on.fill = pattern
