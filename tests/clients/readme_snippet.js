const socket = new SockJS('http://localhost:8080/ws');
const stompClient = Stomp.over(socket);

stompClient.connect({}, function(frame) {
    console.log('Connected: ' + frame);

    stompClient.subscribe('/topic/rooms/gaming_stream_123', function(message) {
        const event = JSON.parse(message.body);

        // Check event type by presence of fields
        if (event.amount !== undefined) {
            console.log('Tip received:', event);
            displayTip(event);
        } else if (event.emoji !== undefined) {
            console.log('Reaction received:', event);
            displayReaction(event);
        }
    });
});
