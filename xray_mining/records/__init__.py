"""The tables of the toolkit: columns, types, units and rules, written once."""
