"""A station that is offline for long."""

from gateways.sim.outbox import MOST_MESSAGES, Message, Outbox, Stage


def test_a_full_memory_loses_meter_readings_and_no_start_or_stop() -> None:
    outbox = Outbox()
    start, stop = Message("StartTransaction", {}, Stage.START), Message("StopTransaction", {}, Stage.STOP)
    outbox.put(start)
    for number in range(2 * MOST_MESSAGES):
        outbox.put(Message("MeterValues", {"number": number}, Stage.METER))
    outbox.put(stop)

    told = []
    while len(outbox):
        told.append(outbox.head)
        outbox.remove(outbox.head)

    assert len(told) <= MOST_MESSAGES + 1
    assert (told[0], told[-1]) == (start, stop)
    numbers = [message.payload["number"] for message in told[1:-1]]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 2 * MOST_MESSAGES - 1
