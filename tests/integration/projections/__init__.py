"""Projections while processes are killed, connections cut and servers restarted."""
