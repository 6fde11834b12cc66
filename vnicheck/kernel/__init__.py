"""What Linux does with an IPv4 packet: policy rules, FIB, source validation, replies. Knows nothing of VNIs.

Written from the kernel's sources (net/ipv4/fib_frontend.c, fib_rules.c, fib_trie.c, fib_semantics.c, route.c) and
checked against a running kernel; the pseudocode with its evidence is in docs/kernel-model.md.
"""
