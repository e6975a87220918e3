"""The one machine room: admit, queue, place, stream, account. Everything that costs compute passes here, once."""
