"""What `eventcore.log.port` promises, on every log."""
