"""The other side of the protocol, for whoever has written a worker or a client.

A point is one rule of the contract, as a scripted conversation with the program under test and a
judgement of what it sent (`point`, `worker_points`, `client_points`). `player` plays points,
`report` prints what came of them. It is no jobsvc: it knows frames, keeps nothing, and does on
demand what a real server does rarely.
"""
