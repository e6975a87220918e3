"""How sizes are said to people everywhere: decimal, as disks and memory are sold and models described."""

MEGA, GIGA = 10**6, 10**9


def size_text(size_bytes: int) -> str:
    """98 MB, 4.10 GB; below a megabyte the bytes themselves."""
    if size_bytes >= GIGA - MEGA // 2:
        return f"{size_bytes / GIGA:.2f} GB"
    return f"{size_bytes / MEGA:.0f} MB" if size_bytes >= MEGA else f"{size_bytes:,} bytes"
