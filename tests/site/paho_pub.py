"""Publishes one message at least once with Eclipse Paho: BROKER CLIENT_ID VERSION TOPIC PAYLOAD; exit 0 if confirmed."""

import sys

import paho.mqtt.client as mqtt

broker, client_id, version, topic, payload = sys.argv[1:]
client = mqtt.Client(client_id=client_id, protocol={"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}[version])
client.connect(broker, 1883, keepalive=10)
client.loop_start()
message = client.publish(topic, payload, qos=1)
message.wait_for_publish(timeout=3)
sys.exit(0 if message.is_published() else 1)
