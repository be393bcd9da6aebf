-- name: keep_posts
INSERT INTO post (instance, channel, body, received_at, came_at);
