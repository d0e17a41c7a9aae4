"""Publishes on several topics in turn, at least once each, on one connection of Eclipse Paho.

BROKER PORT CLIENT_ID SECONDS TOPIC...; prints how many rounds were confirmed, and fails if the connection ended before.
"""

import sys
import time

import paho.mqtt.client as mqtt

broker, port, client_id, seconds, *topics = sys.argv[1:]
ended = []
client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv311)
client.on_disconnect = lambda _client, _data, code: ended.append(code)
client.connect(broker, int(port), keepalive=10)
client.loop_start()
until = time.monotonic() + float(seconds)
rounds = 0
while time.monotonic() < until and not ended:
    messages = [client.publish(topic, str(rounds), qos=1) for topic in topics]
    for message in messages:
        message.wait_for_publish(timeout=20)
    if not all(message.is_published() for message in messages):
        sys.exit(f"round {rounds} was not confirmed")
    rounds += 1
if ended:
    sys.exit(f"the connection ended in round {rounds} with {ended}")
print(rounds)
